/* SPDX-License-Identifier: Apache-2.0 */
/* dir.h - directories on disk that are for one process alone
 *
 * What is kept there is believed when it is read again. So a directory is
 * opened as itself, never through a symbolic link in its place, and refused
 * when anybody but us, or root, may change what is in it. A lock file tells
 * other processes that it is taken, and by whom.
 *
 * Called by: spool, store, claim, deliver: by whatever keeps files.
 * Thread:    any; a directory is its caller's.
 * Owns:      nothing: descriptors are the caller's, for close().
 * Blocks:    for the disk.
 * Fails:     HB_E_CONFIG, with a sentence about path, which is what people call
 *            the directory; or, where there is no err, with errno. */
#ifndef HOOKBRIDGE_DIR_H
#define HOOKBRIDGE_DIR_H

#include <dirent.h>

#include "hookbridge/error.h"

/* One that is there, to be read, whosever it is: its descriptor, or -1 with
 * errno too. Where name is looked up is as in openat(). */
int hb_dir_open(int at, const char *name, const char *path,
    struct hb_error *err) HB_MUST_CHECK;
/* Whether nobody but us, or root, may change what is in it. */
bool hb_dir_check(
    int dir, const char *path, struct hb_error *err) HB_MUST_CHECK;
/* Makes it, of mode 0700, if only it is missing; opens and checks it. Its name
 * is safe on disk then. A descriptor, or -1. */
int hb_dir_make(int at, const char *name, const char *path,
    struct hb_error *err) HB_MUST_CHECK;

/* Takes the lock of that name for as long as the descriptor is open that comes
 * back; -1: who has it is in the sentence. */
int hb_dir_lock(int dir, const char *name, const char *path,
    struct hb_error *err) HB_MUST_CHECK;
/* Writes our pid into the lock, for people and for that sentence only: nothing
 * depends on it, should the disk be full. */
bool hb_dir_sign(int lock);
/* Whether anybody has the lock, this process included. */
bool hb_dir_is_locked(int dir, const char *name);

/* The names in it are safe on disk then. */
bool hb_dir_sync(int dir) HB_MUST_CHECK;
/* A stream of its own position, for closedir(); NULL. */
DIR *hb_dir_stream(int dir);

#endif
