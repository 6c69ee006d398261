/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * A fact is the smallest thing learned about the machine. Collectors emit facts, the model
 * consumes them, and nothing downstream knows which collector ran, except as provenance.
 *
 * Facts are plain data. Pointers in them are valid only during the call that hands the fact over;
 * whoever keeps a fact copies what it needs. Facts refer to each other by id: the kernel address
 * of the object (task_struct, inode, head struct page), which is unique while the object lives.
 * A fact may arrive before the facts it refers to. Which members are pointers is known in one
 * place, src/util/fact_visit.c.
 *
 * Strings come from the kernel and are hostile: any byte but NUL may occur. Views sanitise.
 */
#ifndef DAXTOP_FACT_H
#define DAXTOP_FACT_H

#include <daxtop/types.h>

#define FACT_COMM_LEN  16         /* TASK_COMM_LEN, include/linux/sched.h */
#define FACT_STACK_MAX 64         /* frames kept of one stack, innermost first */
#define FACT_UNKNOWN   UINT64_MAX /* a u64 that was not learned; never shown as a number */

enum fact_type {
	FACT_SESSION = 1,
	FACT_TASK,
	FACT_FILE,
	FACT_PAGE,
	FACT_WAIT,
	FACT_HOLD,
	FACT_QUEUED,
	FACT_LOSS,
	FACT_PROBE,
	FACT_END,
	FACT_LOCK,
	FACT_FREED,
};

/* Which engine saw it. */
enum fact_seen {
	SEEN_SNAPSHOT = 0,
	SEEN_TRACE,
	SEEN_MAX,
};

/* The blocked operation; the names in contract.md, see fact_op_name(). */
enum fact_op {
	OP_OTHER = 0,
	OP_TRUNCATE,
	OP_OPEN_TRUNC,
	OP_PUNCH_HOLE,
	OP_ZERO_RANGE,
	OP_COLLAPSE_RANGE,
	OP_INSERT_RANGE,
	OP_ALLOCATE, /* plain preallocation; "other" in the contract's first version */
	OP_REFLINK,
	OP_DEDUPE,
	OP_EXCHANGE,
	OP_WRITE,
	OP_SETFLAGS,
	OP_EVICT,
	OP_UMOUNT,
	OP_RECLAIM,
	OP_FAULT,
	OP_WRITEBACK, /* fsync(2), sync(2) or the flusher, on its way through the pages of the file */
	OP_UNBIND,    /* of the device, whose pages are all to be idle */
	OP_MAX,
};

/* What made the kernel evict the inode; only with OP_EVICT, OP_UMOUNT and OP_RECLAIM. */
enum fact_trigger {
	TRIGGER_NONE = 0,
	TRIGGER_UNLINK,     /* the last name went */
	TRIGGER_LAST_CLOSE, /* the last descriptor or mapping of an unlinked file went */
	TRIGGER_EXIT,       /* as last close, by an exiting task */
	TRIGGER_UMOUNT,
	TRIGGER_DEVICE_REMOVAL,
	TRIGGER_SHRINKER,   /* dentry shrinker: memory reclaim or drop_caches */
	TRIGGER_DAX_WINDOW, /* no eviction: a range of virtiofs's DAX window is to be used anew */
	TRIGGER_MAX,
};

/* What the waiter sleeps on. */
enum fact_on {
	ON_PAGE = 0, /* a DAX page that must become idle */
	ON_LOCK, /* the invalidate lock: before it looks for a page, or woken from a wait for one */
	ON_ENTRY_LOCK,
	ON_LEASE,
	ON_MAX,
};

/* By what mechanism a page reference is held. */
enum fact_how {
	HOW_UNKNOWN = 0,
	HOW_VMSPLICE,  /* a page in a pipe, also after splice or tee */
	HOW_SOCKET,    /* a page spliced into a socket */
	HOW_ZEROCOPY,  /* a page sent with MSG_ZEROCOPY */
	HOW_DIRECT_IO, /* O_DIRECT whose buffer is the mapping: synchronous, or nobody knows whose */
	HOW_AIO,       /* the same by libaio, io_submit(2) */
	HOW_IO_URING,  /* the same by io_uring */
	HOW_FUSE,      /* direct I/O that a FUSE server has to answer */
	HOW_NFS,       /* direct I/O that an NFS server has to answer */
	HOW_P9,        /* zero-copy I/O that a 9p server has to answer */
	HOW_SG_IO,     /* a pass-through command: SG_IO, bsg, NVMe */
	HOW_PROCESS_VM, /* process_vm_readv(2) or process_vm_writev(2) in the middle */
	HOW_PTRACE,     /* another task's memory accessed by ptrace(2) or /proc/PID/mem */
	HOW_COREDUMP,   /* the page is being written to a core dump */
	HOW_KVM,        /* a virtual machine's memory */
	HOW_MAPPING,    /* a page table entry; counts as a reference from 6.15 on */
	HOW_KERNEL,     /* an object of the kernel that no task owns */
	HOW_FAULT,      /* a page fault, in the middle of which its DAX entry is locked */
	HOW_WRITEBACK,  /* writeback likewise */
	HOW_LEASE,      /* a lease, delegation or layout that its holder has to give back */
	HOW_MAX,
};

enum fact_confidence {
	CONF_CANDIDATE = 0, /* has the means and the opportunity, no more */
	CONF_LIKELY,        /* the evidence fits, the object was not seen */
	CONF_EXACT,         /* the reference was seen in kernel memory */
	CONF_MAX,
};

/* What comes of unbinding a device of which a page is referenced. */
enum fact_unbind {
	UNBIND_UNKNOWN = 0, /* one of these, this kernel does not show which */
	UNBIND_HANGS,       /* whoever unbinds it sleeps until the last reference goes */
	UNBIND_CRASHES,     /* it returns, and dropping the reference touches freed memory */
	UNBIND_MAX,
};

/* How a lock is held. */
enum fact_mode {
	MODE_UNKNOWN = 0,
	MODE_WRITE, /* by one task, its owner */
	MODE_READ,  /* shared: the kernel does not keep who holds it */
	MODE_PIPE,  /* no lock: a pipe that is full, or empty, until one of the owners goes on */
	MODE_MAX,
};

/* A kernel or user stack, innermost frame first, as text "name+0xoff [module]". */
struct fact_stack {
	const char *const *frames; /* n entries; NULL when n is 0 */
	u32 n;
	const char *why_missing; /* reason to print when n is 0; NULL when nobody asked */
};

/* How the process handles signals; bit (signo - 1). Source: signal_struct, sighand_struct. */
struct fact_signals {
	bool known;   /* false: nothing below was learned */
	u64 blocked;  /* task_struct.blocked */
	u64 ignored;  /* SIG_IGN */
	u64 caught;   /* a handler is installed */
	u64 restarts; /* a handler with SA_RESTART: the system call is entered again */
};

struct fact_task {
	u64 id;        /* address of the task_struct */
	u32 pid;       /* thread group id, in the init pid namespace */
	u32 tid;       /* thread id, in the init pid namespace */
	u32 uid;       /* real uid, in the init user namespace */
	u32 threads;   /* live threads of the group; 0 unknown */
	u64 start_ns;  /* task_struct.start_time, ns since boot (CLOCK_MONOTONIC) */
	u64 asleep_ns; /* time since it last ran, ns; FACT_UNKNOWN when not learned */
	char comm[FACT_COMM_LEN + 1];
	char state;         /* letter as in ps: R S D T t X Z I */
	bool exiting;       /* PF_EXITING */
	bool frozen;        /* with its cgroup: it sleeps until that is thawed */
	bool kthread;       /* PF_KTHREAD: has no user memory and takes no signal */
	bool io_worker;     /* PF_IO_WORKER: an io_uring or vhost worker of its process */
	const char *cgroup; /* path in the default hierarchy; NULL unknown */
	/* address of whom a thread of the NFS server works for; NULL none */
	const char *nfs_client;
	s32 syscall;      /* number of the system call it sleeps in; -1 none or unknown */
	u64 args[6];      /* its raw arguments; valid when syscall >= 0 */
	const char *call; /* "ftruncate(17, 4096)"; NULL when syscall is -1 */
	struct fact_signals signals;
	struct fact_stack kstack;
	struct fact_stack ustack;
};

struct fact_file {
	u64 id;                   /* address of the inode */
	u32 dev_major, dev_minor; /* s_dev */
	u64 ino;
	u64 size;           /* i_size, bytes; FACT_UNKNOWN when not learned */
	const char *path;   /* absolute, as seen from this mount namespace; NULL unknown */
	bool deleted;       /* no name left, or the inode is being evicted after unlink */
	const char *fstype; /* file_system_type.name */
	const char *mount;  /* mount point; NULL when it is mounted nowhere we can see */
	const char *device; /* s_id, such as "pmem0"; without a block device the mount's source */
};

struct fact_page {
	u64 id;        /* address of the (head) struct page */
	u64 file;      /* fact_file.id; 0 unknown (a shared folio names no inode) */
	u64 index;     /* page index in the file; FACT_UNKNOWN for a shared folio */
	u32 order;     /* folio order: 0 is one page, 9 is 2 MiB on x86 */
	s64 refs;      /* reference count as stored */
	s64 idle_refs; /* count at which the waiter is woken: 1 to 6.14, 0 from 6.15 */
	s64 mapcount;  /* page table entries that count as references; 0 up to 6.14 */
	s64 pincount;  /* folio._pincount; -1 when the folio keeps none */
	u32 shared;    /* files that share the folio (reflink); 0 when not shared */
	u64 pfn;
	/*
	 * Referenced, but of no file any more: its block was freed or its inode left the cache
	 * meanwhile (page.mapping is NULL, and it is not shared).
	 */
	bool orphan;
	const char *device; /* of an orphan: "pmem0", that it is a page of; NULL unknown */
	u64 device_offset;  /* of an orphan: bytes from the start of that; FACT_UNKNOWN */
};

struct fact_wait {
	u64 task; /* fact_task.id of the waiter, also the id of the wait */
	u64 file; /* fact_file.id; 0 unknown */
	u64 page; /* fact_page.id; 0 unknown */
	enum fact_op op;
	enum fact_trigger trigger;
	enum fact_on on;
	bool spins;         /* never sleeps but looks at the page again and again, in state R */
	bool interruptible; /* TASK_INTERRUPTIBLE: any signal ends the sleep */
	/*
	 * Number of the lock, which fact_hold.lock has, too; 0 unknown. ON_LOCK: its address, if
	 * page faults have it; ON_ENTRY_LOCK: one that is made up of the address_space and the
	 * index; ON_LEASE: the address of the file's struct file_lock_context.
	 */
	u64 lock;
	u64 index;    /* ON_ENTRY_LOCK, lock known: first page of the entry in its file */
	bool is_free; /* ON_ENTRY_LOCK: nobody had the lock at any of several looks */
	/* The following only from a trace: the hooks of src/collect/trace.c. */
	u64 began_ns; /* CLOCK_MONOTONIC when it began; 0 when it was there before the hooks */
	u32 pages;    /* pages it has waited for, one after the other; 0 unknown */
};

/* One task that can release a hold. */
struct fact_releaser {
	u64 task;        /* fact_task.id, of the thread group leader where all threads can */
	s32 fd;          /* its (lowest) descriptor of the object; -1 none */
	bool reads;      /* has the read end of the pipe open: can drain it */
	bool receives;   /* has no descriptor yet: it is in flight to a socket of the task */
	bool registered; /* has no descriptor: it is registered with an io_uring of the task */
	/*
	 * It has the file open as well. At exit that is closed before the object goes, and may
	 * sleep for the inode lock that the waiter keeps: fuse_flush(), up to v6.15.
	 */
	bool exit_waits;
};

struct fact_hold {
	u64 page; /* fact_page.id; 0: it is of a lock */
	u64 lock; /* fact_wait.lock of who waits for it; 0: it is of a page */
	enum fact_how how;
	enum fact_confidence confidence;
	u32 refs; /* references of the page that this hold explains; a FOLL_PIN is one */
	const char *object_kind; /* "pipe", "file", "vma", "bio"; NULL unknown */
	const char *object_id;   /* "pipe:[4711]"; unique with object_kind */
	const char *target;      /* where the I/O goes: device, file or peer; NULL none */
	const char *device;      /* the block or network device that has it; NULL none or unknown */
	const char *device_type; /* its device-mapper target, "thin-pool"; NULL none or unknown */
	const char *frozen;      /* mount point of a frozen filesystem it waits for; NULL none */
	const char *detail;      /* one clause of evidence for a reader; NULL none */
	const char *limit;       /* cgroup whose limit holds the I/O back, a path; NULL none */
	const char *limit_by;    /* what limit that is: "io.max", "io.cost"; NULL none */
	/*
	 * fact_task.id of whom alone can answer the I/O, of a lock: that its holder waits for; 0
	 * none, or unknown. server_likely: that it is busy with this I/O was not seen.
	 */
	u64 server;
	bool server_likely;
	bool unqueued; /* I/O or a packet that is in no queue: a driver has it in its own way */
	u64 held_ns;   /* how long it has been held, ns; FACT_UNKNOWN when not learned */
	u64 left_ns;   /* lease: until the kernel takes it away; 0 never, FACT_UNKNOWN */
	bool of_nfsd;  /* lease: the NFS server's, which takes it away itself */
	/* lease: of the client that has it, "/proc/fs/nfsd/clients/3"; NULL unknown */
	const char *client_dir;
	u64 drain_bytes;  /* pipe: bytes to read until the page is released; 0 n/a */
	u32 pipe_user;    /* pipe, socket: uid that made it, when it has no descriptor */
	bool outbound;    /* socket: sent; the peer's acknowledgement releases it, not the tasks */
	bool unsent;      /* socket: in a datagram that waits for more data of the releasers */
	const char *peer; /* outbound: "socket:[4711]", the other end, if the releasers have it */
	/*
	 * outbound: "10.0.0.1:80", this end of a TCP connection in our network namespace that a
	 * program has or had; NULL else
	 */
	const char *local;
	bool undelivered; /* outbound: the other end is on this machine and has read all it got */
	const struct fact_releaser *releasers; /* nr entries; may be none */
	u32 nr_releasers;
	/*
	 * The following only from a trace: who took the references, which needs not have them now.
	 */
	u32 taker_pid, taker_tid; /* in the init pid namespace; 0 unknown */
	char taker_comm[FACT_COMM_LEN + 1];
	struct fact_stack kstack; /* where the first of them was taken */
};

/* A lock that tasks sleep for, and who has it. */
struct fact_lock {
	u64 id;           /* address of the rw_semaphore, mutex or pipe_inode_info */
	const char *name; /* "i_rwsem", "mmap_lock"; NULL unknown */
	const char *of;   /* what it belongs to, "pipe:[4711]"; NULL: file, or unknown */
	u64 file;         /* fact_file.id that it belongs to; 0 unknown, or no file */
	enum fact_mode mode;
	u32 readers; /* how many hold it shared, with MODE_READ; 0 unknown */
	/*
	 * MODE_WRITE: the task in the lock's owner word. MODE_READ: the one in it, which took it
	 * last and may have let go of it; or those that were seen to have it. MODE_PIPE: tasks with
	 * the other end open.
	 */
	const struct fact_releaser *owners; /* nr entries; may be none */
	u32 nr_owners;
	bool sure; /* MODE_READ: the owners have it, perhaps beside others */
};

/* A task that sleeps for a lock. It is stuck behind who has the lock. */
struct fact_queued {
	u64 wait;         /* fact_wait.task of the waiter that has the lock; 0 none */
	u64 task;         /* fact_task.id */
	const char *lock; /* "i_rwsem"; NULL unknown */
	u64 on;           /* fact_lock.id; 0: only wait is known */
	bool shared;      /* it wants the lock for reading */
	/*
	 * fact_task.id that is first in the queue, and wants for writing what others have for
	 * reading
	 */
	u64 after; /* 0 none */
};

enum fact_loss_kind {
	LOSS_TORN = 0, /* a record changed while it was read, and was dropped */
	LOSS_LOST,     /* a bound or a full map cut something off */
	LOSS_MAX,
};

struct fact_loss {
	enum fact_loss_kind kind;
	u64 count;
	const char *where; /* "bit_wait_table", "pipe buffers" */
};

enum fact_probe_state {
	PROBE_OK = 0,
	PROBE_FALLBACK,
	PROBE_MISSING,
	PROBE_STATE_MAX,
};

/* One thing the collector relies on, and what is lost without it. */
struct fact_probe {
	const char *name;
	enum fact_probe_state state;
	const char *costs; /* consequence when not ok; NULL when ok */
};

/* How a wait ended. */
enum fact_result {
	RESULT_UNKNOWN = 0,
	RESULT_DONE,        /* the page became idle, the operation goes on */
	RESULT_INTERRUPTED, /* by a signal: the operation was not done, or starts again */
	RESULT_FAILED,      /* by an error of the filesystem */
	RESULT_MAX,
};

/* A wait that was seen and is over. Complete in itself: its task may be gone. */
struct fact_end {
	u64 task; /* fact_wait.task of the wait */
	u32 pid, tid;
	char comm[FACT_COMM_LEN + 1];
	enum fact_op op;
	const char *path; /* of its file; NULL unknown */
	u64 waited_ns;    /* how long it had waited when it was last seen; FACT_UNKNOWN */
	u64 unseen_ns;    /* from then until it was seen to be over */
	/* The following only from a trace: the hooks of src/collect/trace.c. */
	enum fact_result result;
	enum fact_trigger trigger;
	u64 began_ns;             /* CLOCK_MONOTONIC; 0 when it was there before the hooks */
	u64 ended_ns;             /* CLOCK_MONOTONIC; 0 when only a look saw that it is over */
	u32 pages;                /* pages it waited for, one after the other; 0 unknown */
	u32 dev_major, dev_minor; /* s_dev of the file; with ino 0 unknown */
	u64 ino;                  /* 0 unknown */
	struct fact_stack kstack; /* where it began */
	struct fact_stack ustack;
};

/*
 * A page left its file although it was referenced: nobody waited. Complete in itself, for task and
 * file may be gone. Told again by each look while the page is still referenced.
 */
struct fact_freed {
	/*
	 * fact_page.id of the first one that a look found referenced, else of the first one of the
	 * entry; its fact may be missing.
	 */
	u64 page;
	u64 index;  /* of that in the file; FACT_UNKNOWN */
	u32 pages;  /* that were referenced, of one entry of the file's page cache */
	bool block; /* the file gave up their blocks too: others may get them */
	u64 task;   /* fact_task.id of who did it; 0 unknown */
	u32 pid, tid;
	char comm[FACT_COMM_LEN + 1];
	enum fact_op op;
	enum fact_trigger trigger;
	u64 freed_ns;             /* CLOCK_MONOTONIC; 0 unknown */
	const char *path;         /* of the file; NULL unknown */
	u32 dev_major, dev_minor; /* s_dev of the file; with ino 0 unknown */
	u64 ino;                  /* 0 unknown */
	struct fact_stack kstack;
};

struct fact_session {
	const char *host, *kernel, *boot_id;
	s64 time_sec; /* CLOCK_REALTIME */
	u32 time_nsec;
	s32 utc_offset;        /* seconds east of UTC */
	u64 mono_ns;           /* CLOCK_MONOTONIC at the same moment */
	bool snapshot, trace;  /* engines that ran */
	const char *recording; /* file that keeps these facts; NULL none */
	const char *scope;     /* what was asked about, "/pmem1, /dev/pmem1"; NULL all */
	u32 dax_mounts;        /* mounted filesystems that can hold DAX files */
	u32 dax_devices;       /* fsdax page ranges (dev_pagemap of type MEMORY_DEVICE_FS_DAX) */
	bool coherent_idle;    /* a wait seen with an idle page was idle on every re-read */
	bool readers_pass;     /* a reader does not queue behind a writer that waits for others */
	/*
	 * All struct pages of these devices were looked at for references: how many of them, in one
	 * look or, of daxtop, in several; those that are left; and how long this look took for it,
	 * ns. All 0: they were not.
	 */
	u64 pins_pages, pins_left, pins_ns;
	const char *unbind;             /* --before-unbind: the device, "pmem0"; NULL none */
	const char *unbind_mount;       /* where it is mounted now; NULL nowhere, or not known */
	enum fact_unbind unbind_effect; /* what comes of it if a page is referenced */
};

struct fact {
	enum fact_type type;
	enum fact_seen seen;
	union {
		struct fact_session session;
		struct fact_task task;
		struct fact_file file;
		struct fact_page page;
		struct fact_wait wait;
		struct fact_hold hold;
		struct fact_queued queued;
		struct fact_loss loss;
		struct fact_probe probe;
		struct fact_end end;
		struct fact_lock lock;
		struct fact_freed freed;
	};
};

/*
 * References above idle other than page table entries, a FOLL_PIN being one; *pins of them are
 * FOLL_PINs, and *mapped are the page table entries. All are 0 or more, whatever the page says.
 * seen: references that were found, gets of them known to be no pins; both tell pins apart from
 * many plain references.
 */
s64 fact_page_taken(const struct fact_page *p, s64 seen, s64 gets, s64 *pins, s64 *mapped);

/* Consumer of facts. Returns 0, or -errno to stop the collector. */
typedef int (*fact_sink_fn)(void *arg, const struct fact *fact);

/* The contract's words ("truncate", "page", "vmsplice", "exact"...); never NULL. */
const char *fact_op_name(enum fact_op op);
const char *fact_unbind_name(enum fact_unbind effect); /* "unknown", "hangs", "crashes" */
const char *fact_trigger_name(enum fact_trigger trigger);
const char *fact_on_name(enum fact_on on);
const char *fact_how_name(enum fact_how how);
const char *fact_confidence_name(enum fact_confidence confidence);
const char *fact_seen_name(enum fact_seen seen);
const char *fact_loss_name(enum fact_loss_kind kind);
const char *fact_mode_name(enum fact_mode mode);
const char *fact_result_name(enum fact_result result);
const char *fact_probe_state_name(enum fact_probe_state state);

#endif
