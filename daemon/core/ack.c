/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * Reading Acks. Servers were written from documents that disagree, so that each header is read the way the most
 * generous reader would, as long as it can mean only one thing. Of several headers with one name the first counts.
 */
#include "core/ack_value.h"
#include "core/hostid.h"
#include "core/httpdate.h"
#include "core/proto.h"

#include "base/cleanup.h"
#include "base/moment.h"
#include "base/parse.h"

#include <string.h>
#include <strings.h>

static void read_packet_type(struct ack *ack, struct value value)
{
    ack->is_ack = ack->is_ack || value_is(value, "Ack");
}

static void read_session_id(struct ack *ack, struct value value)
{
    if (ack->has_session_id)
        return;
    /* A tab may stand inside a header's value, but an id is echoed and must not be open to another reading. */
    if (memchr(value.text, '\t', value.length))
        return;
    ack->session_id_too_long = value.length > SESSION_ID_MAX;
    ack->has_session_id = value_copy_whole(value, ack->session_id, sizeof(ack->session_id));
}

static void read_protocol(struct ack *ack, struct value value)
{
    if (!ack->has_protocol)
        value_copy_printable(value, ack->protocol, sizeof(ack->protocol));
    ack->has_protocol = true;
}

/*
 * The next byte that the server wants: "213", or, from servers that took the header's name at its word, the range that
 * it has: "0-212/4096", "bytes 0-212/4096". A lone minus is no range: that is a number which overflowed at the server.
 */
static bool read_offset(struct value value, uint64_t *ret)
{
    size_t at = 0;
    uint64_t first, last;

    if (value.length > 6 && strncasecmp(value.text, "bytes ", 6) == 0)
        at = 6;
    bool has_unit = at > 0;
    if (!value_read_number(value, &at, &first))
        return false;
    if (at == value.length) {
        *ret = first;
        return !has_unit;
    }
    if (value.text[at++] != '-' || !value_read_number(value, &at, &last) || last < first || last == UINT64_MAX)
        return false;
    if (at < value.length && value.text[at] != '/')
        return false;
    *ret = last + 1;
    return true;
}

static void take_next(struct ack *ack, struct value value, bool misspelt)
{
    uint64_t offset = 0;

    ack->has_next = read_offset(value, &offset);
    ack->has_bad_next = !ack->has_next;
    ack->next_offset = offset;
    ack->next_is_misspelt = misspelt;
}

static void read_next(struct ack *ack, struct value value)
{
    if ((!ack->has_next && !ack->has_bad_next) || ack->next_is_misspelt)
        take_next(ack, value, false);
}

static void read_next_misspelt(struct ack *ack, struct value value)
{
    if (!ack->has_next && !ack->has_bad_next)
        take_next(ack, value, true);
}

/* "0x8020001F", "x8020001F", "8020001f", "0x80200020L": what servers write for an HRESULT. */
static bool read_hex(struct value value, uint32_t *ret)
{
    const char *text = value.text;
    size_t length = value.length;

    if (length > 1 && text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
        text += 2;
        length -= 2;
    } else if (length > 0 && (text[0] == 'x' || text[0] == 'X')) {
        text++;
        length--;
    }
    if (length > 0 && (text[length - 1] == 'L' || text[length - 1] == 'l'))
        length--;
    return parse_hex32_n(text, length, ret) == 0;
}

static void read_error_code(struct ack *ack, struct value value)
{
    if ((!ack->has_error || ack->error_is_alias) && read_hex(value, &ack->error_code)) {
        ack->has_error = true;
        ack->error_is_alias = false;
    }
}

static void read_error(struct ack *ack, struct value value)
{
    if (!ack->has_error && read_hex(value, &ack->error_code))
        ack->has_error = ack->error_is_alias = true;
}

static void read_context(struct ack *ack, struct value value)
{
    if (!ack->has_context)
        ack->has_context = read_hex(value, &ack->error_context);
}

static void read_host_id(struct ack *ack, struct value value)
{
    if (ack->has_host_id || value.length == 0)
        return;
    ack->has_host_id = true;
    ack->host_id_is_valid = host_id_read(value.text, value.length, ack->host_id) >= 0;
    if (!ack->host_id_is_valid)
        value_copy_printable(value, ack->host_id, sizeof(ack->host_id)); /* for the message */
}

static uint64_t seconds_to_usec(uint64_t seconds)
{
    return seconds > USEC_INFINITY / USEC_PER_SEC ? USEC_INFINITY : seconds * USEC_PER_SEC;
}

static void read_host_fallback(struct ack *ack, struct value value)
{
    uint64_t seconds;

    if (ack->has_host_fallback || parse_u64_n(value.text, value.length, &seconds) < 0)
        return;
    ack->has_host_fallback = true;
    ack->host_fallback_usec = seconds_to_usec(seconds);
}

static void read_reply_url(struct ack *ack, struct value value)
{
    if (!ack->has_reply_url)
        ack->has_reply_url = value_copy_whole(value, ack->reply_url, sizeof(ack->reply_url));
}

static void read_retry_after(struct ack *ack, struct value value)
{
    uint64_t seconds;

    if (ack->has_retry_after)
        return;
    if (parse_u64_n(value.text, value.length, &seconds) >= 0) {
        ack->has_retry_after = true;
        ack->retry_after_usec = seconds_to_usec(seconds);
    } else {
        ack->has_retry_after = http_date_parse(value.text, value.length, &ack->retry_after_realtime_usec) >= 0;
    }
}

static void read_location(struct ack *ack, struct value value)
{
    if (!ack->has_location)
        value_copy_printable(value, ack->location, sizeof(ack->location));
    ack->has_location = true;
}

static void read_server(struct ack *ack, struct value value)
{
    if (!ack->has_server)
        value_copy_printable(value, ack->server, sizeof(ack->server));
    ack->has_server = true;
}

static const struct {
    const char *name;
    void (*read)(struct ack *ack, struct value value);
} headers[] = {
    {"BITS-Packet-Type", read_packet_type},
    {"BITS-Session-Id", read_session_id},
    {"BITS-Protocol", read_protocol},
    {"BITS-Received-Content-Range", read_next},
    {"BITS-Recieved-Content-Range", read_next_misspelt},
    {"BITS-Error-Code", read_error_code},
    {"BITS-Error", read_error},
    {"BITS-Error-Context", read_context},
    {"BITS-Host-Id", read_host_id},
    {"BITS-Host-Id-Fallback-Timeout", read_host_fallback},
    {"BITS-HostId-Fallback-Timeout", read_host_fallback}, /* [MC-BUP] 3.2.1.1 */
    {"BITS-Reply-URL", read_reply_url},
    {"Retry-After", read_retry_after},
    {"Location", read_location},
    {"WWW-Authenticate", ack_read_challenges},
    {"Proxy-Authenticate", ack_read_challenges},
    {"Content-Range", ack_read_content_range},
    {"Content-Length", ack_read_content_length},
    {"Transfer-Encoding", ack_read_transfer_encoding},
    {"ETag", ack_read_etag},
    {"Last-Modified", ack_read_last_modified},
    {"Server", read_server},
};

/* The value behind the colon; false where it has a control character: such a line is malformed, and maybe an attack. */
static bool read_value(const char *text, size_t length, struct value *ret)
{
    while (length > 0 && value_is_blank(text[0])) {
        text++;
        length--;
    }
    while (length > 0 && value_is_blank(text[length - 1]))
        length--;
    for (size_t i = 0; i < length; i++)
        if (((unsigned char)text[i] < 0x20 && text[i] != '\t') || text[i] == 0x7f)
            return false;
    if (length > HEADER_VALUE_MAX)
        return false;
    *ret = (struct value){.text = text, .length = length};
    return true;
}

void ack_begin(struct ack *ack, int status)
{
    memset(ack, 0, sizeof(*ack));
    ack->status = status;
}

void ack_add_line(struct ack *ack, const char *line, size_t length)
{
    struct value value;

    if (ack->too_large)
        return;
    ack->header_count++;
    ack->header_bytes += length;
    if (ack->header_count > HEADER_COUNT_MAX || ack->header_bytes > HEADER_BYTES_MAX) {
        ack->too_large = true;
        return;
    }
    const char *colon = memchr(line, ':', length);
    if (!colon)
        return;
    size_t name_length = (size_t)(colon - line);
    if (!read_value(colon + 1, length - name_length - 1, &value))
        return;
    for (size_t i = 0; i < ELEMENTS(headers); i++) {
        if (strlen(headers[i].name) == name_length && strncasecmp(headers[i].name, line, name_length) == 0) {
            headers[i].read(ack, value);
            return;
        }
    }
}
