/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The absolute path of a file that the caller names. An absolute one is kept as it is. Of a relative one the folder is
 * resolved and the last component appended as it stands, so that a symbolic link stays the name that was asked for.
 * The file need not exist, its folder must. -EINVAL for "", and for a path that ends in "/", "." or ".." (a folder);
 * else the errno of realpath(3). The caller frees *ret.
 */
int path_make_absolute(const char *path, char **ret);

/*
 * The caller's home folder: $HOME where that is absolute, else what the user database says, which may ask a directory
 * service. NULL where neither knows it, or memory is refused; the caller frees it.
 */
char *path_home(void);

/*
 * bitsq's own folder of one kind: $VARIABLE/bitsq, or ~/FALLBACK/bitsq where VARIABLE is not set to an absolute path
 * (XDG Base Directory Specification). NULL as of path_home(); the caller frees it.
 */
char *path_xdg(const char *variable, const char *fallback);
