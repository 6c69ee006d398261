// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Waits, one after the other, as fast as one comes after the other.
 *
 * usage: waits TURNS FILE
 * In each turn a thread punches a hole into a page that a pipe keeps, and sleeps until the pipe is
 * emptied. FILE is a DAX file of at least SPAN bytes.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include "need.h"

#define PAGE   4096UL
#define SPAN   (64 * PAGE)
#define ASLEEP 1000 /* us after which the thread sleeps */

static struct {
	char *pages;
	int file, pipe[2], sink;
	long turns;
	sem_t held, punched;
} g;

static unsigned long page_of(long turn)
{
	return turn * PAGE % SPAN;
}

static void *punch(void *arg)
{
	(void)arg;
	for (long i = 0; i < g.turns; i++) {
		sem_wait(&g.held);
		need(!fallocate(g.file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, page_of(i),
				PAGE),
		     "fallocate");
		sem_post(&g.punched);
	}
	return NULL;
}

static void hold_for_a_while(long turn)
{
	struct iovec from = { g.pages + page_of(turn), PAGE };

	g.pages[page_of(turn)] = 1;
	need(vmsplice(g.pipe[1], &from, 1, 0) == (ssize_t)PAGE, "vmsplice");
	sem_post(&g.held);
	usleep(ASLEEP);
	need(splice(g.pipe[0], NULL, g.sink, NULL, PAGE, 0) == (ssize_t)PAGE, "splice");
	sem_wait(&g.punched);
}

int main(int argc, char **argv)
{
	pthread_t thread;

	if (argc != 3)
		return 2;
	g.turns = strtol(argv[1], NULL, 0);
	g.file = open(argv[2], O_RDWR);
	need(g.file >= 0, argv[2]);
	g.pages = mmap(NULL, SPAN, PROT_READ | PROT_WRITE, MAP_SHARED, g.file, 0);
	need(g.pages != MAP_FAILED, "mmap");
	g.sink = open("/dev/null", O_WRONLY);
	need(!pipe(g.pipe) && !sem_init(&g.held, 0, 0) && !sem_init(&g.punched, 0, 0), "pipe");
	errno = pthread_create(&thread, NULL, punch, NULL);
	need(!errno, "pthread_create");
	for (long i = 0; i < g.turns; i++)
		hold_for_a_while(i);
	return pthread_join(thread, NULL);
}
