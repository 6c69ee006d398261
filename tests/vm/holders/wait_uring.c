// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Has a worker of io_uring do one operation that may have to wait for a page of a DAX file.
 *
 * usage: wait_uring OPERATION PATH
 * The operations that take a range work on the second and third page of the file. Says READY
 * before the request is submitted and DONE with its result and errno after it.
 */
#define _GNU_SOURCE
#include "common.h"
#include "ring.h"

#include <fcntl.h>
#include <linux/falloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { OP_FTRUNCATE = 55 }; /* IORING_OP_FTRUNCATE, v6.9: younger than the headers may be */

static const struct {
	const char *name;
	int opcode;
	uint32_t mode; /* of fallocate */
	bool by_name;  /* the file is not opened */
} operations[] = {
	{ "ftruncate", OP_FTRUNCATE, 0, false },
	{ "punch_hole", IORING_OP_FALLOCATE, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, false },
	{ "zero_range", IORING_OP_FALLOCATE, FALLOC_FL_ZERO_RANGE, false },
	{ "collapse_range", IORING_OP_FALLOCATE, FALLOC_FL_COLLAPSE_RANGE, false },
	{ "insert_range", IORING_OP_FALLOCATE, FALLOC_FL_INSERT_RANGE, false },
	{ "open_trunc", IORING_OP_OPENAT, 0, true },
	{ "unlink", IORING_OP_UNLINKAT, 0, true },
	{ "close", IORING_OP_CLOSE, 0, false },
};

static void fill(struct io_uring_sqe *sqe, int opcode, uint32_t mode)
{
	sqe->opcode = (uint8_t)opcode;
	sqe->flags = IOSQE_ASYNC;
	switch (opcode) {
	case IORING_OP_FALLOCATE:
		sqe->off = PAGE;
		sqe->addr = 2 * PAGE;
		sqe->len = mode;
		break;
	case OP_FTRUNCATE:
		sqe->off = PAGE;
		break;
	case IORING_OP_OPENAT:
		sqe->open_flags = O_RDWR | O_TRUNC;
		break;
	}
}

static void run(const char *path, size_t i)
{
	struct io_uring_sqe sqe = {};
	struct ring ring = {};
	int res;

	fill(&sqe, operations[i].opcode, operations[i].mode);
	if (operations[i].by_name) {
		sqe.fd = AT_FDCWD;
		sqe.addr = (unsigned long)path;
	} else {
		sqe.fd = open(path, O_RDWR);
		need(sqe.fd >= 0, path);
	}
	if (operations[i].opcode == IORING_OP_CLOSE)
		need(!unlink(path), "unlink");
	ring_make(&ring);
	say("READY {\"pid\": %d, \"tid\": %d}", initial_pid(), initial_tid());
	ring_submit(&ring, &sqe);
	res = ring_result(&ring);
	say("DONE %d %d", res < 0 ? -1 : 0, res < 0 ? -res : 0);
}

int main(int argc, char **argv)
{
	if (argc != 3)
		exit(2);
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++) {
		if (strcmp(argv[1], operations[i].name))
			continue;
		run(argv[2], i);
		return 0;
	}
	return 2;
}
