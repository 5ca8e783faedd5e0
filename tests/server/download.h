/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* GET and HEAD of a published file or of the reply to an upload, whole or one range of it. */
#pragma once

struct request;

void download(struct request *request);

/* The status that says what a negative errno says, outside of BITS. */
unsigned http_status_of(int error);
