/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Bits of task_struct.flags and __state, include/linux/sched.h: the same from 5.10 to 7.2. */
#ifndef DAXTOP_TASK_FLAGS_H
#define DAXTOP_TASK_FLAGS_H

#define PF_EXITING   0x00000004
#define PF_IO_WORKER 0x00000010
#define PF_KTHREAD   0x00200000

#define TASK_INTERRUPTIBLE   0x0001
#define TASK_UNINTERRUPTIBLE 0x0002
#define TASK_STOPPED         0x0004 /* __TASK_STOPPED */
#define TASK_TRACED          0x0008 /* __TASK_TRACED */
#define EXIT_DEAD            0x0010
#define EXIT_ZOMBIE          0x0020
#define TASK_NOLOAD          0x0400
#define TASK_RTLOCK_WAIT     0x1000 /* from 5.15 on, PREEMPT_RT: for a spinlock_t or rwlock_t */
#define TASK_FROZEN          0x8000 /* from 6.1 on, also of a cgroup of version 1 */

/* task_struct.jobctl, include/linux/sched/jobctl.h: its cgroup, of version 2, is frozen */
#define JOBCTL_TRAP_FREEZE (1 << 23)

#endif
