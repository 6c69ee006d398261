// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Does with a page of a DAX file what looks like holding it, and holds no reference of it.
 *
 * usage: hold_nothing ACT FILE INDEX [TARGET]
 *   futex       a thread sleeps in FUTEX_WAIT on the page
 *   buffers     registers the page with an io_uring, which refuses it
 *   xdp         registers the page as AF_XDP memory, which is refused
 *   udmabuf     makes a DMA buffer of the file, which is refused
 *   rdma        registers memory of its own with the RDMA device TARGET, then the page, which is
 *               refused
 *   mlock       locks the page, and gives advice on it
 *   released    had the page in a pipe, and has read it
 *   copies      has read the page into a pipe with splice(2) and sendfile(2)
 *   reader      a thread reads the first page over and over
 *   write       a thread writes the page to TARGET with O_DIRECT
 *   kvm         a virtual machine, idle now, has the page as its memory and has used it
 *   vhost       vhost-net has the page in its memory table
 * READY tells the errno of what the kernel refused as "refused", 0 if it did not.
 */
#define _GNU_SOURCE
#include "common.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <linux/if_xdp.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <linux/udmabuf.h>
#include <linux/vhost.h>
#include <pthread.h>
#include <rdma/ib_user_ioctl_verbs.h>
#include <rdma/ib_user_verbs.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

static struct dax_map map;
static size_t page_index;
static const char *target;
static pid_t sleeper; /* the thread that must be asleep before READY */

static char *page(void)
{
	return map.addr + page_index * PAGE;
}

static int refused(long ret)
{
	return ret < 0 ? errno : 0;
}

static void start(void *(*run)(void *arg))
{
	pthread_t thread;

	need(!pthread_create(&thread, NULL, run, NULL), "pthread_create");
}

static void wait_until_asleep(void)
{
	pid_t tid;

	while (!(tid = __atomic_load_n(&sleeper, __ATOMIC_ACQUIRE)))
		usleep(1000);
	while (task_state(tid) != 'S' && task_state(tid) != 'D')
		usleep(1000);
}

static void *sleep_on_futex(void *arg)
{
	int *word = (int *)page();

	(void)arg;
	__atomic_store_n(&sleeper, gettid(), __ATOMIC_RELEASE);
	syscall(SYS_futex, word, FUTEX_WAIT, *word, NULL, NULL, 0);
	return NULL;
}

static int wait_on_futex(void)
{
	start(sleep_on_futex);
	wait_until_asleep();
	return 0;
}

static int register_buffers(void)
{
	struct io_uring_params params = {};
	struct iovec vec = { page(), PAGE };
	int ring = (int)syscall(SYS_io_uring_setup, 4, &params);

	need(ring >= 0, "io_uring_setup");
	return refused(syscall(SYS_io_uring_register, ring, IORING_REGISTER_BUFFERS, &vec, 1));
}

static int register_xdp(void)
{
	struct xdp_umem_reg reg = {
		.addr = (unsigned long)page(),
		.len = PAGE,
		.chunk_size = PAGE,
	};
	int fd = socket(AF_XDP, SOCK_RAW, 0);

	need(fd >= 0, "AF_XDP");
	return refused(setsockopt(fd, SOL_XDP, XDP_UMEM_REG, &reg, sizeof(reg)));
}

static int make_udmabuf(void)
{
	struct udmabuf_create create = {
		.memfd = (unsigned int)map.fd,
		.offset = page_index * PAGE,
		.size = PAGE,
	};
	int fd = open("/dev/udmabuf", O_RDWR);

	need(fd >= 0, "/dev/udmabuf");
	return refused(ioctl(fd, UDMABUF_CREATE, &create));
}

/* A command of the RDMA device, whose answer goes to its first field. */
static int uverbs(int fd, unsigned int command, void *request, size_t size, size_t answer_size)
{
	struct ib_uverbs_cmd_hdr head = {
		.command = command,
		.in_words = (__u16)((sizeof(head) + size) / 4),
		.out_words = (__u16)(answer_size / 4),
	};
	char text[128];

	memcpy(text, &head, sizeof(head));
	memcpy(text + sizeof(head), request, size);
	return refused(write(fd, text, sizeof(head) + size));
}

static int register_memory(int fd, unsigned int domain, void *addr)
{
	struct ib_uverbs_reg_mr_resp answer;
	struct ib_uverbs_reg_mr request = {
		.response = (unsigned long)&answer,
		.start = (unsigned long)addr,
		.length = PAGE,
		.hca_va = (unsigned long)addr,
		.pd_handle = domain,
		.access_flags = IB_UVERBS_ACCESS_LOCAL_WRITE,
	};

	return uverbs(fd, IB_USER_VERBS_CMD_REG_MR, &request, sizeof(request), sizeof(answer));
}

/* That its own memory is taken shows that it is the page for which the device refuses. */
static int register_rdma(void)
{
	struct ib_uverbs_get_context_resp context;
	struct ib_uverbs_get_context get = { .response = (unsigned long)&context };
	struct ib_uverbs_alloc_pd_resp domain;
	struct ib_uverbs_alloc_pd alloc = { .response = (unsigned long)&domain };
	void *own = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	int fd = open(target, O_RDWR);

	need(fd >= 0 && own != MAP_FAILED, target);
	need(!uverbs(fd, IB_USER_VERBS_CMD_GET_CONTEXT, &get, sizeof(get), sizeof(context)),
	     "RDMA context");
	need(!uverbs(fd, IB_USER_VERBS_CMD_ALLOC_PD, &alloc, sizeof(alloc), sizeof(domain)),
	     "RDMA protection domain");
	need(!register_memory(fd, domain.pd_handle, own), "RDMA memory");
	return register_memory(fd, domain.pd_handle, page());
}

static int lock_and_advise(void)
{
	madvise(page(), PAGE, MADV_WILLNEED);
	madvise(page(), PAGE, MADV_COLD);
	return refused(mlock(page(), PAGE));
}

static int pin_and_release(void)
{
	struct iovec vec = { page(), PAGE };
	char copy[PAGE];
	int ends[2];

	need(!pipe(ends), "pipe");
	need(vmsplice(ends[1], &vec, 1, 0) == (ssize_t)PAGE, "vmsplice");
	need(read(ends[0], copy, PAGE) == (ssize_t)PAGE, "read");
	return 0;
}

static int copy_into_pipes(void)
{
	off_t at = (off_t)(page_index * PAGE);
	int ends[2], sockets[2];

	need(!pipe(ends), "pipe");
	need(splice(map.fd, &at, ends[1], NULL, PAGE, 0) == (ssize_t)PAGE, "splice");
	at = (off_t)(page_index * PAGE);
	need(!socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), "socketpair");
	need(sendfile(sockets[0], map.fd, &at, PAGE) == (ssize_t)PAGE, "sendfile");
	return 0;
}

static void *read_on(void *arg)
{
	(void)arg;
	while (!usleep(1000))
		(void)*(volatile char *)map.addr;
	return NULL;
}

static int read_first_page(void)
{
	start(read_on);
	return 0;
}

static void *write_target(void *arg)
{
	int fd = open(target, O_WRONLY | O_DIRECT);

	(void)arg;
	need(fd >= 0, target);
	__atomic_store_n(&sleeper, gettid(), __ATOMIC_RELEASE);
	pwrite(fd, page(), PAGE, 0);
	return NULL;
}

static int write_to_frozen(void)
{
	start(write_target);
	wait_until_asleep();
	return 0;
}

/* The page becomes the guest's first one, in which it runs two instructions in real mode. */
static int run_guest(void)
{
	static const char code[] = { (char)0xf4, (char)0xf4 }; /* hlt */
	struct kvm_userspace_memory_region region = {
		.memory_size = PAGE,
		.userspace_addr = (unsigned long)page(),
	};
	struct kvm_sregs sregs;
	struct kvm_regs regs = { .rflags = 2 };
	int kvm = open("/dev/kvm", O_RDWR), vm, cpu;

	need(kvm >= 0, "/dev/kvm");
	memcpy(page(), code, sizeof(code));
	vm = ioctl(kvm, KVM_CREATE_VM, 0);
	need(vm >= 0, "KVM_CREATE_VM");
	need(!ioctl(vm, KVM_SET_USER_MEMORY_REGION, &region), "KVM_SET_USER_MEMORY_REGION");
	cpu = ioctl(vm, KVM_CREATE_VCPU, 0);
	need(cpu >= 0, "KVM_CREATE_VCPU");
	need(mmap(NULL, (size_t)ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE,
		  MAP_SHARED, cpu, 0) != MAP_FAILED,
	     "mmap of the vCPU");
	need(!ioctl(cpu, KVM_GET_SREGS, &sregs), "KVM_GET_SREGS");
	sregs.cs.base = sregs.cs.selector = 0;
	need(!ioctl(cpu, KVM_SET_SREGS, &sregs), "KVM_SET_SREGS");
	need(!ioctl(cpu, KVM_SET_REGS, &regs), "KVM_SET_REGS");
	need(!ioctl(cpu, KVM_RUN, 0), "KVM_RUN");
	return 0;
}

static int give_to_vhost(void)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region region;
	} memory = {
		.head.nregions = 1,
		.region = { .memory_size = PAGE, .userspace_addr = (unsigned long)page() },
	};
	int fd = open("/dev/vhost-net", O_RDWR);

	need(fd >= 0, "/dev/vhost-net");
	need(!ioctl(fd, VHOST_SET_OWNER), "VHOST_SET_OWNER");
	return refused(ioctl(fd, VHOST_SET_MEM_TABLE, &memory));
}

int main(int argc, char **argv)
{
	static const struct {
		const char *name;
		int (*act)(void);
	} acts[] = {
		{ "futex", wait_on_futex },
		{ "buffers", register_buffers },
		{ "xdp", register_xdp },
		{ "udmabuf", make_udmabuf },
		{ "rdma", register_rdma },
		{ "mlock", lock_and_advise },
		{ "released", pin_and_release },
		{ "copies", copy_into_pipes },
		{ "reader", read_first_page },
		{ "write", write_to_frozen },
		{ "kvm", run_guest },
		{ "vhost", give_to_vhost },
	};

	if (argc < 4)
		exit(2);
	map = map_dax(argv[2]);
	page_index = strtoul(argv[3], NULL, 0);
	target = argc > 4 ? argv[4] : NULL;
	for (size_t i = 0; i < sizeof(acts) / sizeof(*acts); i++)
		if (!strcmp(argv[1], acts[i].name))
			say("READY {\"pid\": %d, \"tid\": %d, \"refused\": %d}", initial_pid(),
			    initial_tid(), acts[i].act());
	hear();
	return 0;
}
