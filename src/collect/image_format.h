/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * The image file: gzip'ed text, one record a line, so that a person can read and cut one. The
 * first word is the kind of record, numbers are hexadecimal without 0x, bytes are pairs of digits.
 *
 *   daxtop-image 1                 first line
 *   field NAME OFFSET SIZE         struct kfield, NAME as in kfield.h
 *   symbol NAME ADDRESS
 *   self TASK                      kmem.self
 *   now NS                         kmem.now
 *   time SEC NSEC UTC_OFFSET MONO  kmem.time
 *   tick NS                        kmem.time.tick_ns
 *   task BYTES                     struct task_rec up to its last frame
 *   name ADDRESS TEXT              answer of symbolize
 *   file PATH BYTES                answer of read_file; no BYTES: it was not there
 *   search BYTES LEFT LOST NS      struct kfound, of the last search
 *   hit ADDRESS VALUE              struct khit, of any search
 *   scan FIRST LEFT LOST           struct kfound, of a scan of struct pages from FIRST on
 *   busy ADDRESS COUNT             struct khit, of any scan
 *   mem ADDRESS BYTES
 *   end                            last line; without it the file was cut
 */
#ifndef DAXTOP_IMAGE_FORMAT_H
#define DAXTOP_IMAGE_FORMAT_H

#define IMAGE_MAGIC    "daxtop-image 1"
#define IMAGE_LINE_MAX (4 * 1024 * 1024) /* a file of 1 MiB, as digits, with its path */

#endif
