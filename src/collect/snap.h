/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * One look at the machine. The order of work is the order of the files:
 *
 *   tasks.c      every task, with its kernel stack as text
 *   pgmaps.c     which struct pages are fsdax
 *   waits.c      who sleeps on one of them
 *   entry_locks.c  who sleeps for the lock of an entry of a DAX file instead
 *   leases.c     or for a lease of one
 *   spins.c      who looks at one of them again and again
 *   pages.c      what the page says: file, index, references
 *   held.c       which pages are held that nobody waits for, if that was asked
 *   fds.c        every open file of every task
 *   vmas.c       who maps the files
 *   walk_*.c     one walker per mechanism that can hold a page
 *   snapshot.c   the order of all this
 *
 * and of what is told of an object, once it matters:
 *
 *   task_fact.c  a task; with ops.c, signals.c, cgroup.c, ustack.c
 *   files.c      an inode's path and filesystem; with mounts.c
 *   emit.c       handing it over
 */
#ifndef DAXTOP_SNAP_H
#define DAXTOP_SNAP_H

#include "collect/arch.h"
#include "collect/kmem.h"
#include "util/arena.h"

/* A task, as the iterator saw it, with its frames as text. */
struct ktask {
	struct task_rec r;
	const char *frames[REC_STACK_DEPTH]; /* "name+0xoff/0xsize [module]", NULL unknown */
	struct arch_regs regs;               /* read on demand: see task_regs() */
	s32 regs_err;                        /* 1 not read yet, 0 or -errno */
	const struct fact_stack *ustack;     /* read on demand: see ustack_read(); NULL not yet */
	bool told;                           /* its fact was emitted */
	bool queued;                         /* it is in the queue of a lock, see walk_queued.c */
	u64 fault_lock;                      /* read on demand: see fault_lock() */
	bool fault_known;                    /* it was */
};

struct ktasks {
	struct ktask *v;
	u32 n;
	u32 *by_addr; /* indices into v, sorted by task_struct address */
	u32 *by_mm;   /* the same by mm_struct */
	char **names; /* owned texts of frames */
	u32 nr_names;
};

/* Struct pages of one fsdax range: [first, end), addresses. */
struct pgmap {
	u64 first, end; /* struct pages */
	u64 addr;       /* of the dev_pagemap */
};

struct pgmaps {
	struct pgmap *v;
	u32 n;
};

/* What a struct page says. */
struct kpage {
	u64 head;    /* address of the (head) struct page */
	u64 mapping; /* address_space; 0 when shared or gone */
	u64 inode;   /* mapping->host; when shared, of a waiter; 0 unknown */
	u64 index;   /* page index in the file; FACT_UNKNOWN when shared */
	u32 order;
	s64 refs, mapcount, pincount;
	s64 idle_refs;
	u32 shared;
	u32 explained; /* references that holds explain which are exact or likely */
	bool orphan;   /* of no file any more, see struct fact_page */
	bool scanned;  /* found by held.c; nobody waits for it */
	bool dropped;  /* only waits out of scope are for it */
	bool told;
};

/* What a waiter is doing. */
struct op {
	enum fact_op op;
	enum fact_trigger trigger;
};

struct kwait {
	u64 task;  /* task_struct */
	u64 page;  /* head struct page; 0 unknown */
	u64 inode; /* 0 unknown */
	u64 key;   /* of the wait queue entry; 0 when found by its stack */
	u64 wbqe;  /* address of the wait queue entry; 0 likewise */
	enum fact_on on;
	u64 lock;     /* fact_wait.lock */
	u64 index;    /* of an entry lock: first page of the entry */
	bool is_free; /* of an entry lock: fact_wait.is_free */
	bool spins;   /* see spins.c */
	bool traced;  /* not seen here but by a trace */
	struct op op; /* of one that spins or is traced; of others see op_of() */
	u64 began_ns; /* by a trace, as fact_wait.began_ns */
	u32 pages;    /* likewise */
};

/*
 * An open file: of a descriptor table; or one that a task has without a descriptor (fd -1), because
 * its last fput is pending, or because it is an io_uring that is registered or mapped; or one that
 * no task has (fd -1): in flight, sent over a UNIX socket and not received yet, or registered with
 * an io_uring.
 */
struct kfd {
	u64 task; /* task that stands for the table: the leader when it shares it; 0 in flight */
	u64 via;  /* in flight: inode of the socket that would receive it */
	u64 ring; /* registered: file of the io_uring that keeps it */
	u64 file;
	s32 fd;
};

struct kfds {
	struct kfd *v;
	u32 n;
	u64 *inodes; /* distinct inodes of the files, in the order of their first file */
	u16 *modes;  /* of the inodes: i_mode */
	u32 nr_inodes;
	u32 *inode_of; /* per kfd: index into inodes; UINT32_MAX unreadable */
};

/* A mapping of a busy file. */
struct kvma {
	u64 addr; /* vm_area_struct */
	u64 inode;
	u64 mm;
	u64 start, end; /* user addresses */
	u64 pgoff;      /* page index of start in the file */
	bool clone;     /* of another file that may share pages with one that is waited for */
};

/* A range of kernel memory. */
struct kspan {
	u64 addr, len;
};

/* Return addresses that were looked at, and what they are: see rt_locks.c. */
struct lock_calls {
	u64 addr[64];
	u8 call[64];
};

struct told_hold;

/* Who of this machine has to answer what a block device was asked. */
struct kserver {
	u64 task;         /* any task of it; 0 none known, or it is not the only one that could */
	bool likely;      /* that it is busy with this very I/O was not seen */
	const char *text; /* "nbd server nbd-server[311]"; NULL nothing to say about it */
};

/* Why a device that is made of others may keep a bio in a way of its own. */
struct kbelow {
	u64 disk;         /* gendisk below it, at any depth, that other I/O waits for; 0 none */
	u64 pool;         /* gendisk of the pool that it has its space from; 0 none */
	const char *type; /* dm_target_type() of the device, NULL unknown */
};

/* One that was looked for. */
struct disk_server {
	u64 disk, rq; /* rq 0: of whatever request */
	struct kserver server;
};

/* What one look leaves to the next one of the same source: where to go on, and what was found. */
struct held_memory {
	u64 next;   /* struct page; 0 from the start */
	u64 looked; /* struct pages looked at in this round */
	bool whole; /* all were, in one round or another */
	u64 *heads; /* of pages that were held when last looked at */
	u32 n;
};

struct snap {
	struct kmem *k;
	struct arch arch;
	const struct snapshot_opts *opts;
	fact_sink_fn sink;
	void *sink_arg;
	struct arena arena; /* texts that live as long as the snapshot */

	struct ktasks tasks;
	struct pgmaps pgmaps;
	bool pages_by_inode; /* the ranges are hidden: see page_is_fsdax() */
	struct kwait *waits;
	u32 nr_waits;
	struct kpage *pages; /* the pages that are waited for, by address */
	u32 nr_pages;
	struct held_memory *held; /* NULL: there was no look before, and none will follow */
	struct {
		u64 pages, left; /* struct pages that were looked at, and that were not */
		u64 next;        /* the one to go on with; 0: this was the last one */
		u64 ns;
	} scan; /* see held.c */
	struct kfds fds;
	struct kvma *vmas; /* of the files that are waited for, by mm */
	u32 nr_vmas;
	char *mountinfo; /* text of /proc/self/mountinfo, once it was needed */
	u32 viewer;      /* whose mount namespace names a file that is not mounted in ours */
	u64 *told_files; /* inodes whose fact was emitted */
	u32 nr_told_files;
	struct told_hold *told_holds; /* holds that were emitted */
	u32 nr_told_holds;
	struct disk_server *servers; /* see servers.c */
	u32 nr_servers;
	u64 below_of; /* the last gendisk that below was looked for; 0 none yet */
	struct kbelow below;
	u64 dev, disk_of_dev; /* the last device that file_disk() looked for */
	struct lock_calls lock_calls;
	struct kspan *seen; /* kernel memory whose references to busy pages are explained */
	u32 nr_seen;
	s32 err; /* first error of the sink, or -ENOMEM; ends the snapshot */
};

/* --- snapshot.c */
/* snapshot() on a given backend, for tests. 0, or -errno also of the sink. */
int snapshot_kmem(struct kmem *k, const struct snapshot_opts *opts, fact_sink_fn sink, void *arg);

/* --- emit.c */
/* Hands a fact over; remembers the first error in s->err. */
void snap_emit(struct snap *s, const struct fact *f);
/* Notes that an object was seen whose references to busy pages are told by a hold. */
void snap_saw(struct snap *s, u64 addr, u64 len);
bool snap_has_seen(const struct snap *s, u64 addr);
void snap_lost(struct snap *s, enum fact_loss_kind kind, const char *where, u64 count);
void snap_probe(struct snap *s, const char *name, enum fact_probe_state state, const char *costs);
/*
 * Missing, with what it costs, where the kernel does not show what it lacks; ok where that is NULL.
 */
void snap_probe_needs(struct snap *s, const char *name, const char *lacks, const char *costs);
/* A text in the snapshot's arena, printf style; "" and s->err set without memory. */
const char *snap_text(struct snap *s, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* --- tasks.c */
int tasks_load(struct snap *s); /* 0 or -errno */
void tasks_free(struct ktasks *t);
struct ktask *task_find(struct snap *s, u64 addr); /* NULL when there is none */
/* The task, or if it has exited another one of its process that has not; NULL none. */
struct ktask *task_live(struct snap *s, struct ktask *t);
/* Registers at kernel entry, read once. NULL for kernel threads and unreadable ones. */
const struct arch_regs *task_regs(struct snap *s, struct ktask *t);
/* Of "ext4_setattr.isra.0+0x1/0x2 [ext4]", a text of ktask.frames, the function: "ext4_setattr". */
const char *frame_function(struct snap *s, const char *frame);
/* Whether it is that function. */
bool frame_is(const char *frame, const char *function);
/* Likewise one of several; NULL is none. */
bool frame_is_any(const char *frame, const char *const *functions);
bool task_stack_has(const struct ktask *t, const char *function);
/* The first of the NULL-terminated functions that is on the stack; NULL none. */
const char *task_stack_any(const struct ktask *t, const char *const *functions);
bool task_is_asleep(const struct ktask *t);
/* The live part of a sleeping task's kernel stack: n words from *start on, until the next call. */
const u64 *task_stack_words(struct snap *s, const struct ktask *t, u32 *n, u64 *start);
/* Whether an address is on the task's kernel stack; false also for NULL. */
bool task_stack_holds(const struct snap *s, const struct ktask *t, u64 addr);
/* Whether one of these words is the address. */
bool task_stack_names(struct snap *s, const struct ktask *t, u64 addr);

/* Where a structure may lie on a task's own stack one of whose members names the task. */
struct stack_scan {
	const u64 *words; /* as task_stack_words() */
	u32 n, at;
	u64 start, task, offset;
};

/* Wait queue entries and waiters of locks are such structures. */
struct stack_scan stack_scan(struct snap *s, const struct ktask *t, enum kf member);
/* The next place, unchecked but for that member; 0 no more. */
u64 stack_scan_next(struct stack_scan *scan);
/* The i-th task that has an mm_struct, in no order; NULL behind the last. */
struct ktask *task_of_mm(struct snap *s, u64 mm, u32 i);

/* --- task_fact.c */
/* Time since it last ran, ns; FACT_UNKNOWN when it is awake or the kernel keeps no such time. */
u64 task_asleep_ns(struct snap *s, const struct ktask *t);
/* Emits the fact of a task once. */
void task_tell(struct snap *s, struct ktask *t);
/* Likewise a task in a queue, unless it is gone, or is the waiter itself. */
void queued_tell(struct snap *s, const struct fact_queued *q);

/* --- pgmaps.c */
int pgmaps_load(struct snap *s); /* 0 or -errno; emits probes */
/*
 * Whether an address is that of an fsdax struct page: by range, without touching it; or, where the
 * kernel hides the ranges, by the page's inode, which has to be a DAX file.
 */
bool page_is_fsdax(struct snap *s, u64 page);

/* --- waits.c */
int waits_find(struct snap *s); /* fills s->waits; 0 or -errno */
bool wait_is_known(const struct snap *s, u64 task);
/* Whether no wait before s->waits[i] is for the same lock. */
bool wait_is_first_of_lock(const struct snap *s, u32 i);
int waits_add(struct snap *s, struct kwait w); /* 0 or -ENOMEM */
/* A page that is waited for joins s->pages; *head: of its folio. 0 or -errno. */
int waits_add_page(struct snap *s, u64 page, u64 *head);
bool wait_still_there(struct snap *s, const struct kwait *w);

/* --- entry_locks.c */
int entry_locks_find(struct snap *s); /* adds to s->waits; 0 or -errno */

/* --- invalidate_locks.c */
int invalidate_locks_find(struct snap *s); /* likewise, after all others */

/* --- unbind_waits.c */
int unbind_waits_find(struct snap *s); /* likewise */

/* --- leases.c */
int leases_find(struct snap *s); /* likewise */

/* --- spins.c */
int spins_find(struct snap *s); /* adds to s->waits; 0 or -errno */

/* --- held.c */
/* Whether a page is one of the device that is to be unbound. */
bool held_is_of_unbind(struct snap *s, u64 page);
int held_find(struct snap *s); /* adds to s->pages what is held; 0 or -errno */
/* Reads them again, after the walks that take long: most I/O has completed by then. */
void held_settle(struct snap *s);
/* Tells them, with the counts that they have now; fills what the session says about it. */
void held_tell(struct snap *s, struct fact_session *session);
void held_memory_free(struct held_memory *m);

/* --- pages.c */
s64 page_idle_refs(const struct snap *s); /* reference count of a page that is idle */
/* Reads a page that is in an fsdax range. 0, -EFAULT, -ESTALE when it makes no sense. */
int page_read(struct snap *s, u64 page, s64 idle_refs, struct kpage *ret);
struct kpage *page_find(struct snap *s, u64 page);   /* the busy folio that contains page */
int page_add(struct snap *s, const struct kpage *p); /* keeps s->pages sorted; 0 or -ENOMEM */
/* References that are no page table entries. */
s64 page_taken(struct snap *s, const struct kpage *p);
void page_tell(struct snap *s, struct kpage *p);
/* References, other than page table entries, that no hold told so far explains. */
u32 page_unexplained(struct snap *s, const struct kpage *p);
s64 page_refs_now(struct snap *s, u64 head); /* -1 when unreadable */
u64 page_head(struct kmem *k, u64 page);     /* of the compound page that page is in */

/* --- files.c */
/* All that can be told of an inode; texts in the snapshot's arena. 0 or -errno. */
int file_read(struct snap *s, u64 inode, struct fact_file *ret);
/* Emits the fact of an inode once. */
void file_tell(struct snap *s, u64 inode);
/* Whether anything but unused names in the dentry cache keeps the inode; true when not known. */
bool file_is_used(struct snap *s, u64 inode);
/* Text that names what a file descriptor leads to: "/path (ext4)", "dm-0 (slow)". */
const char *file_describe(struct snap *s, u64 file);
/*
 * Fills in target, what I/O to a file goes to, and the device that has to answer, as far as is
 * seen.
 */
void file_tell_target(struct snap *s, u64 file, struct fact_hold *h);
/* "/path" of a file, as above without its filesystem; NULL unknown. */
const char *file_path(struct snap *s, u64 file);
/* "ext4", "pipefs"; NULL unknown. */
const char *file_fstype(struct snap *s, u64 inode);
/* The same of the block device that a file is, or that its filesystem is on; NULL none. */
const char *file_device(struct snap *s, u64 file);
u64 file_disk(struct snap *s, u64 file); /* the gendisk of that; 0 unknown */
/* The same of a gendisk; of a loop device "loop0 over /path (ext4)". */
const char *disk_describe(struct snap *s, u64 disk);
/* The device of a filesystem, "pmem0"; "an unknown device". */
const char *sb_device(struct snap *s, u64 sb);
/* One of the inode's names, "/path (xfs)"; else its number, "ino 4711 of 259:1 (xfs)". */
const char *file_name(struct snap *s, u64 inode);
/* Where the inode's filesystem is mounted; NULL unknown. */
const char *file_mount(struct snap *s, u64 inode);
/* A path by which we can open a file that the task has open or mapped; NULL unknown. */
const char *file_path_for(struct snap *s, const struct ktask *t, u64 file);
/* Path of a dentry, where its filesystem is mounted for us; NULL it is not. */
const char *dentry_path_here(struct snap *s, u64 dentry);
/* A regular file whose pages are DAX pages; any address may be asked. */
bool file_is_dax(struct snap *s, u64 inode);
/* The DAX inode that a word in memory points at, itself or its address_space; 0 none. */
u64 file_of_word(struct snap *s, u64 word);
/* The inode that a waiter works on, from its stack; 0 when none is found. */
u64 file_of_waiter(struct snap *s, struct ktask *t);
/* Whether its stack names this inode at all. */
bool waiter_knows_file(struct snap *s, struct ktask *t, u64 inode);
/* 0, or -errno; of the inode's filesystem. */
int file_ids(struct snap *s, u64 inode, u32 *major, u32 *minor, u64 *ino);

/* --- ops.c */
struct op op_of(struct snap *s, struct ktask *t);
/* The same from return addresses as text, innermost first, with NULLs between them. */
struct op op_of_frames(const char *const *frames, u32 n);
/* "ftruncate(17, 4096)"; NULL when the task is in no system call. */
const char *call_text(struct snap *s, struct ktask *t);

/* --- fds.c */
int fds_load(struct snap *s);
void fds_free(struct kfds *f);
/*
 * Every task that has a file with the inode open, each once, malloc'ed; files in flight count as
 * open in the tasks that can receive them, registered ones in those that have the io_uring. *via,
 * unless NULL: one such socket, 0 none. They are told. NULL when there are none.
 */
struct fact_releaser *fds_releasers(struct snap *s, u64 inode, u32 *n, u64 *via);
/* The file of a descriptor of a task; 0 none. */
u64 fds_file(const struct snap *s, u64 inode); /* one that is open; 0 none */
/* As fds_releasers(), of those that have this very open file. */
struct fact_releaser *fds_releasers_of_file(struct snap *s, u64 file, u32 *n);
u64 fd_file(struct snap *s, const struct ktask *t, u64 fd);

/* --- walk_pipes.c */
/* "pipe:[4711]", or the path of a FIFO. */
const char *pipe_name(struct snap *s, u64 inode);

/* --- exits.c */
/* Fills exit_waits of n who can release a page of an inode that somebody waits for. */
void exits_mark(struct snap *s, u64 waited, struct fact_releaser *r, u32 n);

/* --- sockets.c */
/* struct sock of a socket's inode; 0 none. */
u64 sock_of_inode(struct snap *s, u64 inode);
/* Calls fn for every packet of a queue (struct sk_buff_head); stops at its first error. */
typedef int (*skb_fn)(void *arg, u64 skb);
int skb_queue_walk(struct snap *s, u64 queue, skb_fn fn, void *arg);
u64 sock_family(struct snap *s, u64 sk); /* AF_*; 0 unknown */
/* include/net/tcp_states.h; UNIX sockets use the same numbers */
enum { TCP_LISTEN = 10 };
u64 sock_state(struct snap *s, u64 sk); /* 0 unknown */
/* "10.0.0.1:443" for the peer of an Internet socket and for its own end, NULL for others. */
const char *sock_peer(struct snap *s, u64 sk);
const char *sock_local(struct snap *s, u64 sk);
/* Calls fn for every connection that a listening socket has not accepted; stops at its error. */
typedef int (*sock_fn)(void *arg, u64 sk);
int sock_unaccepted(struct snap *s, u64 sk, sock_fn fn, void *arg);

/* --- uring.c */
/* Adds the files registered with io_uring to s->fds. 0 or -errno. */
int uring_add(struct snap *s);

/* --- scm.c */
/* Adds the files in flight in UNIX sockets to s->fds. 0 or -errno. */
int scm_add(struct snap *s);
int fds_add(struct snap *s, struct kfd fd); /* 0, -E2BIG, -ENOMEM */
int fds_resolve(struct snap *s);            /* after fds_add(): fills inodes. 0 or -errno */

/* --- bio.c */
struct kbio {
	u64 addr;
	u64 vecs, end_io, private;
	u32 flags, vcnt;
	u32 idx, size, done; /* of its bi_iter */
	bool writes;         /* to the device */
	u64 from, first;     /* the pointer that leads to its list, and what it was */
	u64 rq;              /* request that it is in; 0 none */
	u64 cgroup;          /* cgroup whose io.max holds it back; 0 none */
	bool stray;          /* in no list, found by a search of memory */
	bool doubtful;       /* a stray that may be a freed one */
};
int bio_read(struct snap *s, u64 addr, struct kbio *ret); /* 0, -EFAULT, -ESTALE no bio */
bool bio_still_there(struct snap *s, const struct kbio *bio);
/* Its table of bio_vecs from the first one that counts; their number, at most max. */
struct kbio_vec {
	u64 page;
	u32 len, off;
};
u32 bio_vecs(struct snap *s, const struct kbio *bio, struct kbio_vec *vecs, u32 max);
/* References of the folio by a table: one for each of its pages. */
u32 vecs_count_refs(struct snap *s, const struct kbio_vec *vecs, u32 n, const struct kpage *p);
bool bio_is_clone(struct snap *s, const struct kbio *bio);
/* Whether it drops references of its pages when it completes: no clone does. */
bool bio_has_refs(struct snap *s, const struct kbio *bio);
u64 bio_disk(struct snap *s, const struct kbio *bio); /* gendisk of its device; 0 unknown */
/* How long its request is under way, or since when it was submitted, ns; FACT_UNKNOWN. */
u64 bio_age_ns(struct snap *s, const struct kbio *bio);
/*
 * Whether a task has submitted a bio, and its device does not let it come back: frames[0] says why.
 */
bool bio_submission_sleeps(const struct ktask *t);
typedef int (*bio_fn)(void *arg, const struct kbio *bio);
/*
 * Calls fn for a chain of bios, to which the pointer at from leads; rq and cgroup as in struct
 * kbio.
 */
int bio_chain_walk(struct snap *s, u64 from, u64 rq, u64 cgroup, bio_fn fn, void *arg);
/* Whether {head, tail} are a bio_list of bios to a gendisk: the end of the chain is its tail. */
bool bio_list_is(struct snap *s, u64 head, u64 tail, u64 disk);

/* --- dm.c */
/* Calls fn for the bios that wait until this gendisk, of any kind, is resumed. */
int dm_deferred_walk(struct snap *s, u64 disk, bio_fn fn, void *arg);
/* "thin": the type of the only target in its table; NULL of another device, and of several. */
const char *dm_target_type(struct snap *s, u64 disk);

/* --- below.c */
/* held_ns: how long it has had the bio, FACT_UNKNOWN unknown; of many bios that of the first. */
const struct kbelow *disk_below(struct snap *s, u64 disk, u64 held_ns);
/* The gendisk that has to do something before the I/O of that device can complete. */
u64 below_answers(const struct kbelow *below, u64 disk);
/* Fills in what h has of it: what the device is, and that the I/O is in no queue. */
void below_tell(const struct kbelow *below, struct fact_hold *h);

/* --- loop.c */
/* struct file behind a gendisk that is a loop device; 0 for others and when it has none. */
u64 loop_file(struct snap *s, u64 disk);

/* --- servers.c */
/* Of a gendisk; rq: the request, 0 unknown. The task is told. */
void disk_server(struct snap *s, u64 disk, u64 rq, struct kserver *ret);
/*
 * "nbd0 (nbd server a[1])": what the I/O goes to, with its server if that is known. NULL for NULL.
 */
const char *disk_target(struct snap *s, const char *target, const struct kserver *server);

/* --- disks.c */
/*
 * Calls fn for every bio in a request of a block device, and for those that wait for a suspended
 * device-mapper device; stops at its first error.
 */
int bios_walk(struct snap *s, bio_fn fn, void *arg);
/* What this kernel does not show that the walk needs; NULL: it can be walked. */
const char *bios_lack(const struct snap *s);
/* Calls fn for every block device that has a gendisk; stops at its first error. */
typedef int (*bdev_fn)(void *arg, u64 bdev, u64 disk);
int bdevs_walk(struct snap *s, bdev_fn fn, void *arg);

/* --- throttle.c */
/*
 * Calls fn for every list of bios that io.max of a cgroup keeps from a request_queue: where the
 * pointer to the first one is, the first one, the struct cgroup. Stops at its first error.
 */
typedef int (*bio_list_fn)(void *arg, u64 from, u64 cgroup);
int throttled_walk(struct snap *s, u64 queue, bio_list_fn fn, void *arg);
/* Whether a task that submits I/O is kept waiting by io.cost; then h gets the limit. */
bool throttled_tell(struct snap *s, const struct ktask *t, struct fact_hold *h);

/* --- bio_owner.c */
struct io_owner {
	enum fact_how how;
	bool known; /* made by code that is known here to take references of its pages */
	u64 file;   /* what the I/O goes to; 0 unknown */
	u64 task;   /* its submitter; 0 unknown or gone */
	bool gone;  /* its submitter has ended and nothing is left of its process */
	u64 ioctx;  /* struct kioctx of HOW_AIO */
};
struct symbol_cache {
	struct {
		u64 addr;
		const char *name;
	} v[16];
	u32 next;
};
/* Name of the function or object that starts at an address; "" none. */
const char *symbol_name(struct snap *s, struct symbol_cache *c, u64 addr);
struct io_owner bio_owner(struct snap *s, struct symbol_cache *c, const struct kbio *bio);
/* Of a struct kiocb; HOW_DIRECT_IO when it is a synchronous call's. task 0 when it is no kiocb. */
struct io_owner kiocb_owner(struct snap *s, struct symbol_cache *c, u64 iocb);
/*
 * Of an asynchronous call to a regular file, if the word points to its kiocb. False: it does not.
 */
bool iocb_owner(struct snap *s, struct symbol_cache *c, u64 word, struct io_owner *ret);
/*
 * Names the descriptor of a synchronous call as the object, and the file as the target if there is
 * none, the same way whoever finds the hold.
 */
u64 io_name_call(struct snap *s, const struct io_owner *o, struct fact_hold *h,
		 struct fact_releaser *r);
/* The bio that a split or clone was made of, as far up as can be seen; else the bio itself. */
struct kbio bio_original(struct snap *s, struct symbol_cache *c, const struct kbio *bio);
/* The tasks of an owner, malloc'ed and told; NULL when none is left. */
struct fact_releaser *io_releasers(struct snap *s, const struct io_owner *o, u32 *n);

/* --- slab.c */
struct slab_object {
	u64 addr;      /* its first byte */
	u32 size;      /* as asked for when the cache was made, bytes */
	u64 slab;      /* struct page of the slab */
	u64 cache;     /* struct kmem_cache */
	char name[32]; /* of the cache: one of several when they share slabs */
};
/* The object that an address is in. 0, -ENOENT when there is none. */
int slab_object(struct snap *s, u64 addr, struct slab_object *ret);
/*
 * Whether the object is in use, as far as the allocator knows: what a mempool or a cache of another
 * kind keeps in reserve is. False also when it cannot be told.
 */
bool slab_object_is_used(struct snap *s, const struct slab_object *o);

/* --- vmas.c */
int vmas_load(struct snap *s); /* of the inodes that are waited for */
/* The mappings of one mm_struct: *n of them in a row; NULL none. */
const struct kvma *vmas_of(const struct snap *s, u64 mm, u32 *n);
/* Of a shared folio only the file is known: then every mapping of the file may lead to it. */
bool vma_covers(const struct kvma *v, const struct kpage *p);

/* User addresses [from, to) at which a covering mapping can show the folio. */
void vma_range(const struct kvma *v, const struct kpage *p, u64 *from, u64 *to);

/* --- signals.c, cgroup.c */
void signals_read(struct snap *s, const struct ktask *t, struct fact_signals *ret);
const char *cgroup_path(struct snap *s, u64 cgroup); /* NULL unknown */
u64 cgroup_of_io(struct snap *s, u64 task);          /* the one that its I/O is accounted to */
u64 cgroup_of_task(struct snap *s, u64 task);        /* struct cgroup; 0 unknown */

/* --- locks.c */
enum klock_kind {
	KLOCK_RWSEM = 0,
	KLOCK_MUTEX,
	KLOCK_KINDS,             /* that have a queue of waiters */
	KLOCK_VMA = KLOCK_KINDS, /* see vma_locks.c */
};

struct klock {
	u64 addr; /* of KLOCK_VMA: the vm_area_struct, in which the lock is a count */
	enum klock_kind kind;
	u64 owner; /* task in the owner word; 0 none, or not known */
	enum fact_mode mode;
	u32 readers; /* with MODE_READ; 0 unknown */
};
/* The lock that a sleeping task is queued for. 0, or -ENOENT when none was found. */
int lock_of_task(struct snap *s, const struct ktask *t, struct klock *ret);
/* Fills in who has the lock now. 0, or -errno when its memory cannot be read. */
int lock_read_owner(struct snap *s, struct klock *l);
/* What this kernel does not show of who has a lock, and of who queues for it; NULL: it shows it. */
const char *locks_lack_owners(const struct kmem *k);
const char *locks_lack_queues(const struct kmem *k);
/*
 * Calls fn for each task in the queue of a lock, the first one first, until it returns other than
 * 0, which is returned. -EFAULT when the queue is torn, -E2BIG when it has no end.
 */
typedef int (*lock_waiter_fn)(void *arg, u64 task, bool shared);
int lock_walk(struct snap *s, const struct klock *l, lock_waiter_fn fn, void *arg);

/* --- rt_locks.c: the same for locks of PREEMPT_RT, for which nobody else looks */
bool rt_locks_available(const struct kmem *k);
/* As lock_of_task(), but without the owner. */
int rt_lock_of_task(struct snap *s, const struct ktask *t, struct klock *ret);
int rt_lock_read_owner(struct snap *s, struct klock *l);
int rt_lock_walk(struct snap *s, const struct klock *l, lock_waiter_fn fn, void *arg);

/* --- vma_locks.c */
/*
 * Where the lock of a vma is, as klock.addr names it; 0 this kernel has none, or it is not
 * readable.
 */
u64 vma_lock(struct snap *s, u64 vma);
/* The same as those without vma_ for KLOCK_VMA. */
int vma_lock_of_task(struct snap *s, const struct ktask *t, struct klock *ret);
int vma_lock_read_owner(struct snap *s, struct klock *l);
int vma_lock_walk(struct snap *s, const struct klock *l, lock_waiter_fn fn, void *arg);

/* --- lock_names.c */
/* What a lock is: fills name, of and file as far as they can be told, and tells the file. */
void lock_identify(struct snap *s, const struct klock *l, struct fact_lock *f);

/* --- pipe_waits.c */
/* Of tasks that are told: tells those that sleep for a pipe, and who has its other end. */
bool pipe_waits_tell(struct snap *s); /* false: there are no more */

/* --- walk_*.c: each finds holds of s->pages by one mechanism and emits them */
struct walker {
	const char *name;  /* as --check prints it */
	const char *costs; /* what is not found without it; NULL: not told */
	/*
	 * What this kernel does not show that it needs, a name of BTF or a symbol; NULL: nothing.
	 */
	const char *(*lacks)(const struct snap *s);
	int (*walk)(struct snap *s); /* 0 or -errno */
};

extern const struct walker walkers[];
extern const u32 nr_walkers;

int walk_pipes(struct snap *s);
const char *walk_pipes_lacks(const struct snap *s);
int walk_sockets(struct snap *s);
const char *walk_sockets_lacks(const struct snap *s);
int walk_ciphers(struct snap *s);
const char *walk_ciphers_lacks(const struct snap *s);
int walk_deferred(struct snap *s);
const char *walk_deferred_lacks(const struct snap *s);
int walk_direct_io(struct snap *s);
const char *walk_direct_io_lacks(const struct snap *s);
int walk_bios(struct snap *s);
const char *walk_bios_lacks(const struct snap *s);
int walk_calls(struct snap *s);
const char *walk_calls_lacks(const struct snap *s);
int walk_fuse(struct snap *s);
const char *walk_fuse_lacks(const struct snap *s);
int walk_mappings(struct snap *s);
const char *walk_mappings_lacks(const struct snap *s);
int walk_vms(struct snap *s);
const char *walk_vms_lacks(const struct snap *s);
int walk_queued(struct snap *s);
int walk_taken(struct snap *s);
const char *walk_taken_lacks(const struct snap *s);
int walk_memory(struct snap *s);
const char *walk_memory_lacks(const struct snap *s);

/* --- nfsd.c */
struct nfsd_client {
	const char *address; /* "10.0.0.1" */
	const char *name;    /* as it calls itself; NULL unknown */
	const char *dir;     /* "/proc/fs/nfsd/clients/3"; NULL unknown, or not mounted */
};
/* The client that has a delegation or layout (struct nfs4_stid). False: it is not recognised. */
bool nfsd_client(struct snap *s, u64 state, struct nfsd_client *ret);
/* The address of the client whose request a task carries out; NULL it does not, or unknown. */
const char *nfsd_serves(struct snap *s, const struct ktask *t);

/* --- walk_fuse.c */
/* The fuse_conn of a super_block of FUSE or virtiofs; 0 unreadable. */
u64 fuse_conn(struct snap *s, u64 sb);
/* A task of the process that alone serves the filesystem of a file; 0 there is none. */
u64 fuse_server(struct snap *s, u64 file);

/* --- walk_bios.c */
/* Tells the holds of the bios that walk hands to fn, as walk_bios() does. 0 or -errno. */
typedef int (*bios_walk_fn)(struct snap *s, void *what, bio_fn fn, void *arg);
int bios_tell(struct snap *s, bios_walk_fn walk, void *what);
const char *walk_queued_lacks(const struct snap *s);
int walk_window(struct snap *s);
const char *walk_window_lacks(const struct snap *s);
int walk_behind(struct snap *s);
const char *walk_behind_lacks(const struct snap *s);
int walk_entry_locks(struct snap *s);
const char *walk_entry_locks_lacks(const struct snap *s);
int walk_invalidate_locks(struct snap *s);
const char *walk_invalidate_locks_lacks(const struct snap *s);
int walk_leases(struct snap *s);
const char *walk_leases_lacks(const struct snap *s);

#endif
