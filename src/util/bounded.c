// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
#include "util/bounded.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "util/clock.h"

/* How long a child that has answered may take to exit before it is killed and forgotten. */
enum { EXIT_GRACE_MS = 100 };

static int64_t now_ms(void)
{
	return clock_now() / NSEC_PER_MSEC;
}

int bounded_write(int fd, const void *buf, size_t len)
{
	const char *at = buf;

	while (len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0) {
			at += n;
			len -= n;
		}
	}
	return 0;
}

/*
 * A child stuck in D outlives the tool. It must not keep alive what the tool had open: BPF
 * programs, or the pipe on stdout whose reader waits for its end.
 */
int bounded_child(int fd, pid_t parent)
{
	int null;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		return -1;
	if (dup2(fd, 3) < 0)
		return -1;
	null = open("/dev/null", O_RDWR);
	if (null < 0)
		return -1;
	for (int i = 0; i < 3; i++)
		if (dup2(null, i) < 0)
			return -1;
	return syscall(SYS_close_range, 4, ~0U, 0);
}

static void run_child(bounded_fn fn, void *arg, void *buf, size_t len, int fd, pid_t parent)
{
	ssize_t n;

	if (bounded_child(fd, parent))
		_exit(1);
	n = fn(arg, buf, len);
	if (n > 0 && (size_t)n > len)
		n = -EOVERFLOW;
	if (!bounded_write(3, &n, sizeof(n)) && n > 0)
		bounded_write(3, buf, n);
	_exit(0);
}

/* Reads exactly len bytes. 0, -ETIMEDOUT, -EIO at an early end, or -errno. */
static int read_until(int fd, void *buf, size_t len, int64_t deadline)
{
	char *at = buf;

	while (len) {
		struct pollfd p = { .fd = fd, .events = POLLIN };
		int64_t left = deadline - now_ms();
		int ready = left > 0 ? poll(&p, 1, left) : 0;
		ssize_t n;

		if (ready < 0 && errno == EINTR)
			continue;
		if (ready <= 0)
			return ready < 0 ? -errno : -ETIMEDOUT;
		n = read(fd, at, len);
		if (n < 0 && errno != EINTR)
			return -errno;
		if (!n)
			return -EIO;
		if (n > 0) {
			at += n;
			len -= n;
		}
	}
	return 0;
}

static ssize_t read_answer(int fd, void *buf, size_t len, int64_t deadline)
{
	ssize_t n;
	int err = read_until(fd, &n, sizeof(n), deadline);

	if (err)
		return err;
	if (n > 0 && (size_t)n > len)
		return -EIO;
	if (n > 0)
		err = read_until(fd, buf, n, deadline);
	return err ? err : n;
}

void bounded_reap(pid_t pid, bool answered)
{
	int pidfd = syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = { .fd = pidfd, .events = POLLIN };

	if (!answered)
		kill(pid, SIGKILL);
	if (pidfd < 0 || poll(&p, 1, EXIT_GRACE_MS) <= 0)
		kill(pid, SIGKILL);
	waitpid(pid, NULL, WNOHANG);
	if (pidfd >= 0)
		close(pidfd);
}

ssize_t bounded_call(bounded_fn fn, void *arg, void *buf, size_t len, int timeout_ms)
{
	int64_t deadline = now_ms() + timeout_ms;
	pid_t parent = getpid(), pid;
	ssize_t ret;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid)
		run_child(fn, arg, buf, len, fds[1], parent);
	close(fds[1]);
	if (pid > 0) {
		ret = read_answer(fds[0], buf, len, deadline);
		bounded_reap(pid, ret != -ETIMEDOUT);
	} else {
		ret = -errno;
	}
	close(fds[0]);
	return ret;
}

ssize_t read_file(const char *path, void *buf, size_t len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t at = 0;
	ssize_t got = fd < 0 ? -errno : 1;

	while (got > 0 && at < len) {
		got = read(fd, (char *)buf + at, len - at);
		if (got < 0)
			got = -errno;
		at += got > 0 ? got : 0;
	}
	if (fd >= 0)
		close(fd);
	return got < 0 ? got : (ssize_t)at;
}

static ssize_t read_file_of(void *path, void *buf, size_t len)
{
	return read_file(path, buf, len);
}

ssize_t bounded_read_file(const char *path, void *buf, size_t len, int timeout_ms)
{
	return bounded_call(read_file_of, (void *)path, buf, len, timeout_ms);
}
