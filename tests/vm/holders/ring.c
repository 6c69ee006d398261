// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#define _GNU_SOURCE
#include "ring.h"

#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common.h"

static void *map_ring(const struct ring *ring, size_t size, off_t offset)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, offset);

	need(at != MAP_FAILED, "mmap of the ring");
	return at;
}

static size_t sqe_size(const struct ring *ring)
{
	return sizeof(*ring->sqes) << !!(ring->params.flags & IORING_SETUP_SQE128);
}

void ring_make(struct ring *ring)
{
	const struct io_uring_params *p = &ring->params;

	ring->fd = (int)syscall(SYS_io_uring_setup, 4, &ring->params);
	need(ring->fd >= 0, "io_uring_setup");
	ring->sq = map_ring(ring, p->sq_off.array + p->sq_entries * sizeof(__u32),
			    IORING_OFF_SQ_RING);
	ring->cq = map_ring(ring, p->cq_off.cqes + p->cq_entries * sizeof(struct io_uring_cqe),
			    IORING_OFF_CQ_RING);
	ring->sqes = map_ring(ring, p->sq_entries * sqe_size(ring), IORING_OFF_SQES);
}

void ring_submit(struct ring *ring, const struct io_uring_sqe *sqe)
{
	__u32 *array = (__u32 *)(ring->sq + ring->params.sq_off.array);
	__u32 *tail = (__u32 *)(ring->sq + ring->params.sq_off.tail);

	array[*tail & (ring->params.sq_entries - 1)] = 0;
	memcpy(ring->sqes, sqe, sqe_size(ring));
	__atomic_store_n(tail, *tail + 1, __ATOMIC_RELEASE);
	need(syscall(SYS_io_uring_enter, ring->fd, 1, 0, 0, NULL, 0) == 1, "io_uring_enter");
}

int ring_result(struct ring *ring)
{
	const struct io_uring_cqe *cqes = (void *)(ring->cq + ring->params.cq_off.cqes);
	__u32 *head = (__u32 *)(ring->cq + ring->params.cq_off.head);
	int res;

	need(!syscall(SYS_io_uring_enter, ring->fd, 0, 1, IORING_ENTER_GETEVENTS, NULL, 0),
	     "io_uring_enter");
	res = cqes[*head & (ring->params.cq_entries - 1)].res;
	__atomic_store_n(head, *head + 1, __ATOMIC_RELEASE);
	return res;
}
