/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/filesystem.h"

#include "base/cleanup.h"

#include <stddef.h>

#define TYPE_FUSE  0x65735546u
#define TYPE_VFAT  0x4d44u
#define TYPE_EXFAT 0x2011bab0u

/* From linux/magic.h and the file systems' own sources: the header has only some of them. */
static const struct {
    uint32_t type;
    const char *name;
} network_types[] = {
    {0x6969u, "NFS"},
    {0x517bu, "SMB"},
    {0xfe534d42u, "SMB"},
    {0xff534d42u, "CIFS"},
    {0x01021997u, "9p"},
    {0x5346414fu, "AFS"},
    {0x6b414653u, "AFS"},
    {0x00c36400u, "Ceph"},
    {0x0bd00bd0u, "Lustre"},
    {0x01161970u, "GFS2"},
    {0x7461636fu, "OCFS2"},
    {0x73757245u, "Coda"},
    {0x564cu, "NCP"},
    {0x786f4256u, "a VirtualBox shared folder"},
    {0xbacbacbcu, "a VMware shared folder"},
    {0x47504653u, "GPFS"},
    {0xaad7aaeau, "PanFS"},
    {0x19830326u, "BeeGFS"},
    /* sshfs and the like cannot be told from a local one. */
    {TYPE_FUSE, "FUSE"},
};

const char *filesystem_network_name(uint32_t type)
{
    for (size_t i = 0; i < ELEMENTS(network_types); i++)
        if (network_types[i].type == type)
            return network_types[i].name;
    return NULL;
}

bool filesystem_is_local(uint32_t type)
{
    static const uint32_t types[] = {
        0xef53u,     /* ext2, ext3, ext4 */
        0x58465342u, /* XFS */
        0x9123683eu, /* btrfs */
        0xf2f52010u, /* F2FS */
        0x01021994u, /* tmpfs */
    };

    for (size_t i = 0; i < ELEMENTS(types); i++)
        if (types[i] == type)
            return true;
    return false;
}

bool filesystem_keeps_inodes(uint32_t type)
{
    return type != TYPE_FUSE && type != TYPE_VFAT && type != TYPE_EXFAT;
}
