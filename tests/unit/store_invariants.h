/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "store_fixture.h"

/* Every index says exactly what the records say: no entry too few, none too many, and the counts are true. */
void assert_indexes_match(struct fixture *fixture);
