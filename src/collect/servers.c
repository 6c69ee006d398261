// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Who has to answer the I/O of a block device, where that is a task of this machine. nbd sends
 * requests through a socket, of which a process has the other end. ublk hands them to the process
 * that has its character device open. A loop device has a kernel thread that reads and writes the
 * file behind it, which may be one of FUSE. If such a task waits for who waits for the I/O, neither
 * goes on.
 *
 * The drivers are modules, whose structs are in no BTF that is at hand: theirs are recognised by
 * what is in them; the comments name them, drivers/block/, 5.10 to 7.2.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "collect/socks.h"
#include "util/array.h"

enum {
	NBD_WORDS = 8,    /* of a struct nbd_device behind its tag_set: config is among them */
	CONFIG_WORDS = 8, /* of a struct nbd_config: socks and num_connections */
	CONNECTIONS_MAX = 64,
};

/* Whether a disk is "nbd0" for "nbd". */
static bool is_called(struct snap *s, u64 disk, const char *driver)
{
	size_t len = strlen(driver);
	char name[32] = "";

	kmem_read_string(s->k, kmem_at(s->k, disk, KF_DISK_NAME), name, sizeof(name));
	return !strncmp(name, driver, len) && name[len] >= '0' && name[len] <= '9';
}

/* The process of all who have something open: any of its tasks. NULL none, or there are more. */
static const struct ktask *only_process(struct snap *s, const struct fact_releaser *r, u32 n)
{
	const struct ktask *first = n ? task_find(s, r[0].task) : NULL;

	for (u32 i = 1; i < n && first; i++) {
		const struct ktask *t = task_find(s, r[i].task);

		if (!t || t->r.tgid != first->r.tgid)
			first = NULL;
	}
	return first;
}

static void take_process(struct kserver *server, const struct ktask *t)
{
	server->task = t ? t->r.task : 0;
}

/* --- nbd */

/*
 * struct nbd_sock begins with a struct socket, which is known by its sock that points back at it.
 */
static u64 sock_of_connection(struct snap *s, u64 nbd_sock)
{
	u64 socket, sk, back;

	if (!kmem_is_kernel_ptr(nbd_sock) || kmem_read(s->k, nbd_sock, &socket, sizeof(socket)) ||
	    !kmem_is_kernel_ptr(socket) || kmem_get(s->k, socket, KF_SOCKET_SK, &sk) ||
	    !kmem_is_kernel_ptr(sk) || kmem_get(s->k, sk, KF_SK_SOCKET, &back) || back != socket)
		return 0;
	return sk;
}

/* The socks of a struct nbd_config and, next to them, how many there are. 0 it is none. */
static u32 socks_of_config(struct snap *s, u64 config, u64 *sks)
{
	u64 words[CONFIG_WORDS], nbd_socks[CONNECTIONS_MAX];

	if (!kmem_is_kernel_ptr(config) || config & 7 ||
	    kmem_read(s->k, config, words, sizeof(words)))
		return 0;
	for (u32 i = 0; i + 1 < CONFIG_WORDS; i++) {
		u32 n = words[i + 1], known = 0;

		if (!kmem_is_kernel_ptr(words[i]) || words[i] & 7 || !n || n > CONNECTIONS_MAX ||
		    kmem_read(s->k, words[i], nbd_socks, n * sizeof(*nbd_socks)))
			continue;
		while (known < n && (sks[known] = sock_of_connection(s, nbd_socks[known])))
			known++;
		if (known == n)
			return n;
	}
	return 0;
}

/* The sockets through which a struct nbd_device sends its requests. */
static u32 nbd_socks(struct snap *s, u64 nbd, u64 *sks)
{
	u64 words[NBD_WORDS];
	u32 n = 0;

	if (!kmem_has(s->k, KF_TAG_SET) ||
	    kmem_read(s->k, nbd + s->k->field[KF_TAG_SET].off, words, sizeof(words)))
		return 0;
	for (u32 i = 0; i < NBD_WORDS && !n; i++)
		n = socks_of_config(s, words[i], sks);
	return n;
}

/* The inode of the other end of a socket; 0 it is on another machine, or nobody has it open. */
static u64 peer_inode(struct snap *s, const struct socks *all, u64 sk)
{
	const struct ksock *peer;
	u64 other;

	if (sock_family(s, sk) != AF_UNIX)
		peer = socks_peer(s, all, sk);
	else
		peer = kmem_get(s->k, sk, KF_UNIX_PEER, &other) ? NULL : socks_find(all, other);
	return peer ? peer->inode : 0;
}

/* The process that has the other end of every connection. */
static const struct ktask *peer_process(struct snap *s, const u64 *sks, u32 n)
{
	const struct ktask *found = NULL;
	struct socks all = { 0 };

	s->err = s->err ? s->err : socks_load(s, &all);
	for (u32 i = 0; i < n && !s->err; i++) {
		u64 inode = peer_inode(s, &all, sks[i]);
		u32 nr = 0;
		struct fact_releaser *r = inode ? fds_releasers(s, inode, &nr, NULL) : NULL;
		const struct ktask *t = only_process(s, r, nr);

		free(r);
		if (!t || (found && found->r.tgid != t->r.tgid)) {
			found = NULL;
			break;
		}
		found = t;
	}
	socks_free(&all);
	return found;
}

/* A device with a time limit fails the I/O itself, whatever its server does. */
static void find_nbd_server(struct snap *s, u64 nbd, struct kserver *server)
{
	u64 sks[CONNECTIONS_MAX], timeout;
	u32 n = nbd_socks(s, nbd, sks);
	const struct ktask *t = n ? peer_process(s, sks, n) : NULL;

	if (t)
		server->text = snap_text(s, "nbd server %.*s[%u]", (int)sizeof(t->r.comm),
					 t->r.comm, t->r.tgid);
	else if (n && sock_family(s, sks[0]) != AF_UNIX && sock_peer(s, sks[0]))
		server->text = snap_text(s, "nbd server %s", sock_peer(s, sks[0]));
	if (!kmem_get(s->k, nbd, KF_TAG_SET_TIMEOUT, &timeout) && !timeout)
		take_process(server, t);
}

/* --- ublk */

/* ublk_ch_open() has the struct ublk_device in the open file, which is the disk's, too. */
static void find_ublk_server(struct snap *s, u64 ublk, struct kserver *server)
{
	const struct kfds *f = &s->fds;
	const struct ktask *t = NULL;
	u64 private;

	for (u32 i = 0; i < f->n && !t; i++) {
		struct fact_releaser *r;
		u32 n;

		if (f->inode_of[i] == UINT32_MAX || !S_ISCHR(f->modes[f->inode_of[i]]) ||
		    kmem_get(s->k, f->v[i].file, KF_FILE_PRIVATE, &private) || private != ublk)
			continue;
		r = fds_releasers_of_file(s, f->v[i].file, &n);
		t = only_process(s, r, n);
		free(r);
		break;
	}
	if (t)
		server->text = snap_text(s, "ublk server %.*s[%u]", (int)sizeof(t->r.comm),
					 t->r.comm, t->r.tgid);
	take_process(server, t);
}

/* --- loop */

static bool is_request_of(struct snap *s, u64 at, u64 queue)
{
	u64 of, start;

	return !kmem_get(s->k, at, KF_RQ_QUEUE, &of) && of == queue &&
	       !kmem_get(s->k, at, KF_RQ_START, &start) && start && start <= s->k->time.mono_ns;
}

/* Whether a word is another request of the same queue, or the loop_cmd behind one. */
static bool names_other(struct snap *s, u64 word, u64 rq)
{
	u64 before = word - s->k->field[KF_RQ].off, queue;

	if (!kmem_is_kernel_ptr(word) || word & 7 || kmem_get(s->k, rq, KF_RQ_QUEUE, &queue))
		return false;
	return (word != rq && is_request_of(s, word, queue)) ||
	       (before != rq && is_request_of(s, before, queue));
}

/* Words may be left over from earlier calls, so one that names several requests proves nothing. */
static bool works_on(struct snap *s, const struct ktask *t, u64 rq)
{
	const u64 *words;
	u64 start;
	u32 n;

	if (!rq || !kmem_has(s->k, KF_RQ) ||
	    (!task_stack_names(s, t, rq) && !task_stack_names(s, t, rq + s->k->field[KF_RQ].off)))
		return false;
	words = task_stack_words(s, t, &n, &start);
	for (u32 i = 0; i < n; i++)
		if (names_other(s, words[i], rq))
			return false;
	return true;
}

/* The thread that works for a struct loop_device; sure: on this very request. NULL none. */
static const struct ktask *find_loop_worker(struct snap *s, u64 lo, u64 rq, bool *sure)
{
	static const char *const works[] = { "loop_process_work", "loop_workfn",
					     "loop_rootcg_workfn", "loop_queue_work", NULL };
	const struct ktask *found = NULL;

	for (u32 i = 0; i < s->tasks.n; i++) {
		const struct ktask *t = &s->tasks.v[i];

		if (t->r.mm || !task_is_asleep(t) || !task_stack_any(t, works))
			continue;
		*sure = works_on(s, t, rq);
		if (*sure)
			return t;
		if (task_stack_names(s, t, lo))
			found = t;
	}
	return found;
}

/* Who sleeps for an answer, fs/fuse/dev.c, or for a page that an answer fills. */
static bool asks_fuse(const struct ktask *t)
{
	static const char *const asks[] = { "request_wait_answer",     "__fuse_simple_request",
					    "fuse_simple_request",     "folio_wait_bit_common",
					    "wait_on_page_bit_common", NULL };

	return task_stack_any(t, asks);
}

/* With O_DIRECT on the file behind it the I/O goes on to a FUSE server, and no thread waits. */
static void find_loop_server(struct snap *s, u64 disk, u64 lo, u64 rq, struct kserver *server)
{
	u64 file = loop_file(s, disk);
	bool sure = false;
	const struct ktask *t = find_loop_worker(s, lo, rq, &sure);

	if (file && (!t || asks_fuse(t)))
		server->task = fuse_server(s, file);
	if (t && !server->task)
		server->task = t->r.task;
	server->likely = !sure;
}

static void find_server(struct snap *s, u64 disk, u64 rq, struct kserver *server)
{
	u64 private;

	if (kmem_get(s->k, disk, KF_DISK_PRIVATE, &private) || !kmem_is_kernel_ptr(private))
		return;
	if (is_called(s, disk, "nbd"))
		find_nbd_server(s, private, server);
	else if (is_called(s, disk, "ublkb"))
		find_ublk_server(s, private, server);
	else if (is_called(s, disk, "loop"))
		find_loop_server(s, disk, private, rq, server);
	if (server->task)
		task_tell(s, task_find(s, server->task));
}

/* Many pages may be in I/O to one device. Only a loop device has a thread for each request. */
void disk_server(struct snap *s, u64 disk, u64 rq, struct kserver *ret)
{
	struct disk_server *known;

	*ret = (struct kserver){ 0 };
	if (!disk)
		return;
	rq = is_called(s, disk, "loop") ? rq : 0;
	for (u32 i = 0; i < s->nr_servers; i++) {
		known = &s->servers[i];
		if (known->disk != disk || known->rq != rq)
			continue;
		*ret = known->server;
		return;
	}
	find_server(s, disk, rq, ret);
	s->err = s->err ? s->err : array_grow(&s->servers, s->nr_servers, sizeof(*s->servers));
	if (!s->err)
		s->servers[s->nr_servers++] = (struct disk_server){ disk, rq, *ret };
}

const char *disk_target(struct snap *s, const char *target, const struct kserver *server)
{
	if (!target || !server->text)
		return target;
	return snap_text(s, "%s (%s)", target, server->text);
}
