/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The one place that knows which members of a fact are pointers: whoever copies or packs a fact
 * goes through it.
 */
#ifndef UTIL_FACT_VISIT_H
#define UTIL_FACT_VISIT_H

#include <stddef.h>

#include <daxtop/fact.h>

/* Each returns 0, or -errno, which ends the visit. */
struct fact_visitor {
	/* *s is not NULL */
	int (*string)(struct fact_visitor *v, const char **s);
	/* n elements of size bytes, n > 0 */
	int (*array)(struct fact_visitor *v, const void **array, u32 n, size_t size);
	/* n frames, 0 < n <= FACT_STACK_MAX, any of which may be NULL */
	int (*frames)(struct fact_visitor *v, const char *const **frames, u32 n);
};

/*
 * Visits every pointer of a fact, always in the same order, an array before the strings. What is
 * NULL is left out; a count is made to fit its array before that is visited. 0 or what the visitor
 * returned.
 */
int fact_visit(struct fact *f, struct fact_visitor *v);

/* The same for one member. */
int fact_visit_session(struct fact_session *f, struct fact_visitor *v);
int fact_visit_task(struct fact_task *f, struct fact_visitor *v);
int fact_visit_file(struct fact_file *f, struct fact_visitor *v);
int fact_visit_page(struct fact_page *f, struct fact_visitor *v);
int fact_visit_hold(struct fact_hold *f, struct fact_visitor *v);
int fact_visit_end(struct fact_end *f, struct fact_visitor *v);
int fact_visit_lock(struct fact_lock *f, struct fact_visitor *v);
int fact_visit_freed(struct fact_freed *f, struct fact_visitor *v);

#endif
