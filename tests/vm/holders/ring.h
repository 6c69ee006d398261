/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* An io_uring of one request at a time, without liburing. */
#ifndef DAXTOP_VM_RING_H
#define DAXTOP_VM_RING_H

#include <linux/io_uring.h>

struct ring {
	int fd;
	struct io_uring_params params;
	char *sq, *cq;
	struct io_uring_sqe *sqes;
};

/* params.flags are the caller's; with IORING_SETUP_SQE128 requests are of two entries. */
void ring_make(struct ring *ring);
/* Submits a request; the one before has to be over. */
void ring_submit(struct ring *ring, const struct io_uring_sqe *sqe);
/* Waits for the request; what it returned, or -errno. */
int ring_result(struct ring *ring);

#endif
