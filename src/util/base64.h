/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* Base64 of RFC 4648, with padding: bytes that JSON's strings cannot hold. */
#ifndef UTIL_BASE64_H
#define UTIL_BASE64_H

#include <daxtop/types.h>

#include "util/strbuf.h"

void base64_encode(struct strbuf *sb, const void *data, size_t len);

/* Appends what the text stands for. false when it is no Base64. */
bool base64_decode(struct strbuf *sb, const char *text);

#endif
