// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Holds one page of a DAX file as the data buffer of a SCSI command to a disk that does not answer.
 *
 * usage: hold_sg FILE INDEX DEVICE
 * The command is READ(10) of a page, by ioctl SG_IO. Says READY once the thread that called it is
 * asleep in the kernel, and DONE with what the call returned.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <scsi/sg.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

enum { PATIENCE = 60000 /* milliseconds */, READ_10 = 0x28, SECTOR = 512 };

struct call {
	int fd;
	char *buffer;
	volatile pid_t tid;
};

static int read_page(const struct call *call)
{
	unsigned char command[10] = { READ_10, [8] = PAGE / SECTOR }, sense[32];
	struct sg_io_hdr header = {
		.interface_id = 'S',
		.dxfer_direction = SG_DXFER_FROM_DEV,
		.cmdp = command,
		.cmd_len = sizeof(command),
		.dxferp = call->buffer,
		.dxfer_len = PAGE,
		.sbp = sense,
		.mx_sb_len = sizeof(sense),
		.flags = SG_FLAG_DIRECT_IO,
		.timeout = PATIENCE,
	};

	return ioctl(call->fd, SG_IO, &header);
}

static void *submitter(void *arg)
{
	struct call *call = arg;
	int ret;

	call->tid = initial_tid();
	ret = read_page(call);
	say("DONE %d %d", ret, ret < 0 ? errno : 0);
	return NULL;
}

int main(int argc, char **argv)
{
	struct call call = {};
	pthread_t thread;
	size_t index;

	if (argc != 4)
		exit(2);
	index = strtoul(argv[2], NULL, 0);
	call.buffer = map_dax(argv[1]).addr + index * PAGE;
	call.fd = open(argv[3], O_RDWR);
	need(call.fd >= 0, argv[3]);
	need(!pthread_create(&thread, NULL, submitter, &call), "pthread_create");
	while (!call.tid || task_state(call.tid) != 'D')
		usleep(1000);
	say("READY {\"how\": \"sg_io\", \"pid\": %d, \"tid\": %d, \"index\": %zu}", initial_pid(),
	    call.tid, index);
	pthread_join(thread, NULL);
	hear();
	return 0;
}
