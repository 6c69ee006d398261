// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * Clients of the kernel's NFS server, to which it gives delegations and layouts. nfsd is a module
 * and in no BTF that is at hand, so its objects are recognised by what is in them; the comments
 * name the structs, fs/nfsd/state.h, 5.10 to 7.3.
 */
#include <arpa/inet.h>
#include <ctype.h>
#include <string.h>

#include "collect/snap.h"
#include "collect/task_flags.h"

enum {
	STATE_WORDS = 12,   /* of a struct nfs4_stid: as far as sc_client */
	CLIENT_WORDS = 256, /* of a struct nfs4_client: as far as cl_nfsd_dentry */
	CHUNK_WORDS = 16,
	ADDRESS_WORDS = 16, /* sizeof(struct sockaddr_storage) */
	ADDRESS_LAST = 48,  /* where cl_addr is at the latest */
	ID_WORDS = 16,      /* behind it, as far as cl_clientid: cl_mach_cred, cl_cred */
	NAME_WORDS = 4,     /* before it: cl_name, cl_verifier, cl_time */
	NAME_MAX_LEN = 63,
	DIR_NAME_MAX = 16,
};

struct client {
	u64 words[CLIENT_WORDS];
	u32 n;    /* words that could be read */
	u32 addr; /* index of cl_addr */
};

static bool all_zero(const u64 *words, u32 n)
{
	for (u32 i = 0; i < n; i++)
		if (words[i])
			return false;
	return true;
}

/* A struct sockaddr_storage in an object that was zeroed: nothing is behind the address. */
static bool is_address(const u64 *w)
{
	switch (w[0] & 0xffff) {
	case AF_INET:
		return w[0] >> 32 && all_zero(w + 1, ADDRESS_WORDS - 1);
	case AF_INET6:
		return (w[1] || w[2]) && !(w[3] >> 32) && all_zero(w + 4, ADDRESS_WORDS - 4);
	default:
		return false;
	}
}

static bool find_address(struct client *c)
{
	for (c->addr = NAME_WORDS; c->addr < ADDRESS_LAST; c->addr++)
		if (c->addr + ADDRESS_WORDS + ID_WORDS <= c->n && is_address(c->words + c->addr))
			return true;
	return false;
}

/* cl_clientid, two u32, is in sc_stateid of each state of the client as well. */
static bool has_id(const struct client *c, const u64 *state)
{
	const u64 *behind = c->words + c->addr + ADDRESS_WORDS;
	u32 ours[2 * ID_WORDS], theirs[2 * STATE_WORDS];

	memcpy(ours, behind, sizeof(ours));
	memcpy(theirs, state, sizeof(theirs));
	for (u32 i = 0; i + 1 < 2 * ID_WORDS; i++) {
		if (!ours[i] || !ours[i + 1])
			continue;
		for (u32 j = 0; j + 1 < 2 * STATE_WORDS; j++)
			if (ours[i] == theirs[j] && ours[i + 1] == theirs[j + 1])
				return true;
	}
	return false;
}

/* By pieces: what is behind the object need not be readable. */
static bool read_client(struct snap *s, u64 addr, struct client *c)
{
	u32 size = CHUNK_WORDS * sizeof(*c->words);

	if (!kmem_is_kernel_ptr(addr) || addr & 7)
		return false;
	for (c->n = 0; c->n < CLIENT_WORDS; c->n += CHUNK_WORDS)
		if (kmem_read(s->k, addr + c->n * sizeof(*c->words), c->words + c->n, size))
			break;
	return find_address(c);
}

/* Of a struct sockaddr_in or sockaddr_in6. */
static const char *address_text(struct snap *s, const u64 *w)
{
	char text[INET6_ADDRSTRLEN];
	u32 family = w[0] & 0xffff;
	const u8 *addr = (const u8 *)w + (family == AF_INET6 ? 8 : 4);

	return inet_ntop(family, addr, text, sizeof(text)) ? snap_text(s, "%s", text) : NULL;
}

/* What the client calls itself, unless it is binary: RFC 8881 calls it opaque. */
static const char *name_text(struct snap *s, const struct client *c)
{
	const u64 *name = c->words + c->addr - NAME_WORDS;
	u32 len = name[0];
	char text[NAME_MAX_LEN + 1] = "";

	if (!len || len > NAME_MAX_LEN || !kmem_is_kernel_ptr(name[1]) ||
	    kmem_read(s->k, name[1], text, len))
		return NULL;
	for (u32 i = 0; i < len; i++)
		if (!isprint((unsigned char)text[i]))
			return NULL;
	return snap_text(s, "%s", text);
}

static bool dentry_name(struct snap *s, u64 dentry, char *name)
{
	u64 at;

	return !kmem_get(s->k, dentry, KF_DENTRY_NAME, &at) && kmem_is_kernel_ptr(at) &&
	       !kmem_read_string(s->k, at, name, DIR_NAME_MAX);
}

/* "clients/3" in the nfsd filesystem. */
static bool is_client_dir(struct snap *s, u64 dentry)
{
	char name[DIR_NAME_MAX];
	u64 parent;

	return kmem_is_kernel_ptr(dentry) && !(dentry & 7) &&
	       !kmem_get(s->k, dentry, KF_DENTRY_PARENT, &parent) && parent != dentry &&
	       kmem_is_kernel_ptr(parent) && !(parent & 7) && dentry_name(s, parent, name) &&
	       !strcmp(name, "clients") && dentry_name(s, dentry, name) && *name &&
	       strspn(name, "0123456789") == strlen(name);
}

static const char *dir_path(struct snap *s, const struct client *c)
{
	for (u32 i = c->addr + ADDRESS_WORDS; i < c->n; i++)
		if (is_client_dir(s, c->words[i]))
			return dentry_path_here(s, c->words[i]);
	return NULL;
}

bool nfsd_client(struct snap *s, u64 state, struct nfsd_client *ret)
{
	u64 words[STATE_WORDS];
	struct client c;

	if (!kmem_is_kernel_ptr(state) || kmem_read(s->k, state, words, sizeof(words)))
		return false;
	for (u32 i = 0; i < STATE_WORDS; i++) {
		if (!read_client(s, words[i], &c) || !has_id(&c, words))
			continue;
		*ret = (struct nfsd_client){ address_text(s, c.words + c.addr), name_text(s, &c),
					     dir_path(s, &c) };
		return ret->address;
	}
	return false;
}

/* What a kernel thread was started with; 0 unknown. */
static u64 kthread_data(struct snap *s, const struct ktask *t)
{
	enum kf where = kmem_has(s->k, KF_TASK_WORKER_PRIVATE) ? KF_TASK_WORKER_PRIVATE :
								 KF_TASK_SET_CHILD_TID;
	u64 kthread, data;

	if (!(t->r.flags & PF_KTHREAD) || kmem_get(s->k, t->r.task, where, &kthread) ||
	    !kmem_is_kernel_ptr(kthread) || kmem_get(s->k, kthread, KF_KTHREAD_DATA, &data) ||
	    !kmem_is_kernel_ptr(data))
		return 0;
	return data;
}

const char *nfsd_serves(struct snap *s, const struct ktask *t)
{
	u64 words[ADDRESS_WORDS], rqst, len;

	if (!task_stack_has(t, "nfsd_dispatch"))
		return NULL;
	rqst = kthread_data(s, t);
	if (!rqst || kmem_get(s->k, rqst, KF_SVC_RQST_ADDRLEN, &len) || len > sizeof(words) ||
	    kmem_read(s->k, kmem_at(s->k, rqst, KF_SVC_RQST_ADDR), words, sizeof(words)))
		return NULL;
	return address_text(s, words);
}
