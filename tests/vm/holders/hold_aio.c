// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds pages of a DAX file as the buffer of libaio writes to a device that stalls.
 *
 * usage: hold_aio [--read] FILE INDEX PAGES TIMES DEVICE
 * Submits TIMES writes of PAGES pages each. With --read it reads from the device into the pages.
 * Says READY once they are under way, and DONE with what the last one returned once all ended.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	bool reads = argc == 7 && !strcmp(argv[1], "--read");
	struct io_event event = {};
	struct iocb iocb = {}, *list = &iocb;
	aio_context_t context = 0;
	struct dax_map map;
	size_t index, pages;
	int times;

	argv += reads;
	if (argc - reads != 6)
		exit(2);
	map = map_dax(argv[1]);
	index = strtoul(argv[2], NULL, 0);
	pages = strtoul(argv[3], NULL, 0);
	times = atoi(argv[4]);
	iocb.aio_lio_opcode = reads ? IOCB_CMD_PREAD : IOCB_CMD_PWRITE;
	iocb.aio_fildes = open(argv[5], O_RDWR | O_DIRECT);
	need((int)iocb.aio_fildes >= 0, argv[5]);
	iocb.aio_buf = (unsigned long)(map.addr + index * PAGE);
	iocb.aio_nbytes = pages * PAGE;
	need(!syscall(SYS_io_setup, times, &context), "io_setup");
	for (int i = 0; i < times; i++)
		need(syscall(SYS_io_submit, context, 1, &list) == 1, "io_submit");
	say("READY {\"how\": \"aio\", \"pid\": %d, \"tid\": %d, \"index\": %zu}", initial_pid(),
	    initial_tid(), index);
	for (int i = 0; i < times; i++)
		need(syscall(SYS_io_getevents, context, 1, 1, &event, NULL) == 1, "io_getevents");
	say("DONE %lld %d", event.res < 0 ? -1 : event.res, event.res < 0 ? (int)-event.res : 0);
	hear();
	return 0;
}
