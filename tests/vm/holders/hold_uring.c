// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds pages of a DAX file as the buffer of an io_uring request to a device that stalls.
 *
 * usage: hold_uring [--worker] CALL FILE INDEX PAGES DEVICE
 * CALL is write, writev or read. The buffer is not registered. With --worker a worker thread of the
 * kernel's submits it. Says READY once the request is submitted, and DONE with what it returned.
 */
#define _GNU_SOURCE
#include "common.h"
#include "ring.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/uio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	struct io_uring_sqe sqe = {};
	struct ring ring = {};
	struct dax_map map;
	struct iovec vec;
	size_t index;
	bool worker = argc == 7 && !strcmp(argv[1], "--worker");
	int res;

	argv += worker;
	if (argc - worker != 6)
		exit(2);
	map = map_dax(argv[2]);
	index = strtoul(argv[3], NULL, 0);
	vec = (struct iovec){ map.addr + index * PAGE, strtoul(argv[4], NULL, 0) * PAGE };
	sqe.fd = open(argv[5], O_RDWR | O_DIRECT);
	need(sqe.fd >= 0, argv[5]);
	sqe.opcode = !strcmp(argv[1], "read") ? IORING_OP_READ : IORING_OP_WRITE;
	sqe.flags = worker ? IOSQE_ASYNC : 0;
	sqe.addr = (unsigned long)vec.iov_base;
	sqe.len = (__u32)vec.iov_len;
	if (!strcmp(argv[1], "writev")) {
		sqe.opcode = IORING_OP_WRITEV;
		sqe.addr = (unsigned long)&vec;
		sqe.len = 1;
	}
	ring_make(&ring);
	ring_submit(&ring, &sqe);
	usleep(200000); /* where a worker submits it */
	say("READY {\"how\": \"io_uring\", \"pid\": %d, \"tid\": %d, \"index\": %zu}",
	    initial_pid(), initial_tid(), index);
	res = ring_result(&ring);
	say("DONE %d %d", res < 0 ? -1 : res, res < 0 ? -res : 0);
	hear();
	return 0;
}
