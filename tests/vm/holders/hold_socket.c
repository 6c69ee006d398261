// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file in a socket of which this process has both ends.
 *
 * usage: hold_socket MODE FILE INDEX
 *   unix        spliced into a UNIX socket that nobody reads
 *   unaccepted  spliced into a UNIX connection that nobody has accepted, by an end now closed
 *   scm         in a pipe whose both ends were sent over a UNIX socket and not received
 *   chain       the same, over a socket that was itself sent over another, and so on six times
 *   alg         spliced into a cipher's socket (AF_ALG) that nobody reads
 */
#define _GNU_SOURCE
#include "common.h"

#include <fcntl.h>
#include <linux/if_alg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

enum { SENDER, RECEIVER, LINKS = 6 };

static void fill_pipe(int *pipe_ends, char *page)
{
	struct iovec vec = { page, PAGE };

	need(!pipe(pipe_ends), "pipe");
	need(vmsplice(pipe_ends[1], &vec, 1, 0) == (ssize_t)PAGE, "vmsplice");
}

static void close_both(const int *ends)
{
	close(ends[0]);
	close(ends[1]);
}

static void splice_page(int sender, char *page, unsigned int flags)
{
	int pipe_ends[2];

	fill_pipe(pipe_ends, page);
	need(splice(pipe_ends[0], NULL, sender, NULL, PAGE, flags) == (ssize_t)PAGE, "splice");
	close_both(pipe_ends);
}

static void connect_unix(int *ends)
{
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, ends), "socketpair");
}

/* Sends two descriptors and closes them. */
static void send_both(int sender, const int *fds)
{
	char control[CMSG_SPACE(2 * sizeof(int))] = {};
	struct iovec data = { (char[]){ 'x' }, 1 };
	struct msghdr message = { .msg_iov = &data,
				  .msg_iovlen = 1,
				  .msg_control = control,
				  .msg_controllen = sizeof(control) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	header->cmsg_level = SOL_SOCKET;
	header->cmsg_type = SCM_RIGHTS;
	header->cmsg_len = CMSG_LEN(2 * sizeof(int));
	memcpy(CMSG_DATA(header), fds, 2 * sizeof(int));
	need(sendmsg(sender, &message, 0) == 1, "sendmsg");
	close_both(fds);
}

/* A pipe with the page, in flight through that many sockets; only the last one is open. */
static unsigned long send_pipe(char *page, int links)
{
	unsigned long inode;
	int inner[2], ends[2];

	fill_pipe(inner, page);
	inode = inode_of(inner[0]);
	while (links--) {
		connect_unix(ends);
		send_both(ends[SENDER], inner);
		memcpy(inner, ends, sizeof(inner));
	}
	return inode;
}

static unsigned long leave_unaccepted(char *page)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX, .sun_path = "\0hold_socket" };
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), sender = socket(AF_UNIX, SOCK_STREAM, 0);

	need(!bind(listener, (void *)&at, sizeof(at)) && !listen(listener, 1), "listen");
	need(!connect(sender, (void *)&at, sizeof(at)), "connect");
	splice_page(sender, page, 0);
	close(sender);
	return inode_of(listener);
}

static unsigned long cipher(char *page)
{
	struct sockaddr_alg at = { .salg_family = AF_ALG,
				   .salg_type = "skcipher",
				   .salg_name = "ecb(cipher_null)" };
	int fd = socket(AF_ALG, SOCK_SEQPACKET, 0);

	need(fd >= 0 && !bind(fd, (void *)&at, sizeof(at)), "AF_ALG");
	fd = accept(fd, NULL, NULL);
	need(fd >= 0, "accept");
	splice_page(fd, page, SPLICE_F_MORE);
	return inode_of(fd);
}

static unsigned long leave_unread(char *page)
{
	int ends[2];

	connect_unix(ends);
	splice_page(ends[SENDER], page, 0);
	return inode_of(ends[RECEIVER]);
}

int main(int argc, char **argv)
{
	const char *mode = argc == 4 ? argv[1] : "";
	bool in_pipe = !strcmp(mode, "scm") || !strcmp(mode, "chain");
	struct dax_map map;
	unsigned long inode;
	size_t index;
	char *page;

	need(argc == 4, "usage");
	map = map_dax(argv[2]);
	index = strtoul(argv[3], NULL, 0);
	page = map.addr + index * PAGE;
	if (in_pipe)
		inode = send_pipe(page, !strcmp(mode, "scm") ? 1 : LINKS);
	else if (!strcmp(mode, "unaccepted"))
		inode = leave_unaccepted(page);
	else if (!strcmp(mode, "alg"))
		inode = cipher(page);
	else
		inode = leave_unread(page);
	say("READY {\"how\": \"%s\", \"pid\": %d, \"tid\": %d, \"index\": %zu, "
	    "\"object\": \"%s:[%lu]\"}",
	    in_pipe ? "vmsplice" : "socket", initial_pid(), initial_tid(), index,
	    in_pipe ? "pipe" : "socket", inode);
	hear();
	return 0;
}
