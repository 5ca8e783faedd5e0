/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* The command line of bits-server. */
#pragma once

struct fault_set;
struct options;

/*
 * Changes OPTIONS and FAULTS as the arguments say. 0: go on; 1: all is said; -EINVAL: said on standard error what is
 * wrong. The texts in OPTIONS are those of ARGV.
 */
int options_parse(int argc, char **argv, struct options *options, struct fault_set *faults);
