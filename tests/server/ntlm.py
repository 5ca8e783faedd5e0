# SPDX-License-Identifier: LGPL-2.1-or-later
"""The server's side of NTLM version 2, after the public document [MS-NLMP], as far as an HTTP test needs it."""
import hmac
import secrets
import struct

SIGNATURE = b"NTLMSSP\0"
NEGOTIATE, CHALLENGE, AUTHENTICATE = 1, 2, 3

# Of section 2.2.2.5.
FLAGS = (0x00000001    # Unicode
         | 0x00000004  # the client may ask who we are
         | 0x00000200  # NTLM
         | 0x00008000  # always sign
         | 0x00020000  # we are a server
         | 0x00080000  # extended session security
         | 0x00800000)  # there is target information: only then do clients answer with version 2

AV_END, AV_COMPUTER, AV_DOMAIN = 0, 1, 2


def md4(data):
    """RFC 1320; today's OpenSSL no longer has it."""
    mask = 0xFFFFFFFF
    message = data + b"\x80" + b"\0" * ((55 - len(data)) % 64) + struct.pack("<Q", 8 * len(data))
    state = [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]
    rounds = (
        (lambda x, y, z: (x & y) | (~x & mask & z), 0, (3, 7, 11, 19), range(16)),
        (lambda x, y, z: (x & y) | (x & z) | (y & z), 0x5A827999, (3, 5, 9, 13),
         (0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15)),
        (lambda x, y, z: x ^ y ^ z, 0x6ED9EBA1, (3, 9, 11, 15), (0, 8, 4, 12, 2, 10, 6, 14, 1, 9, 5, 13, 3, 11, 7, 15)),
    )
    for start in range(0, len(message), 64):
        words = struct.unpack("<16I", message[start:start + 64])
        a, b, c, d = state
        for mix, constant, shifts, order in rounds:
            for step, index in enumerate(order):
                value = (a + mix(b, c, d) + words[index] + constant) & mask
                shift = shifts[step % 4]
                a, b, c, d = d, ((value << shift) | (value >> (32 - shift))) & mask, b, c
        state = [(old + new) & mask for old, new in zip(state, (a, b, c, d))]
    return struct.pack("<4I", *state)


def hmac_md5(key, data):
    return hmac.new(key, data, "md5").digest()


def message_type(message):
    if len(message) < 12 or not message.startswith(SIGNATURE):
        return None
    return struct.unpack_from("<I", message, 8)[0]


def _field(message, offset):
    length, _, start = struct.unpack_from("<HHI", message, offset)
    if start + length > len(message):
        raise ValueError("a field of the message lies beyond its end")
    return message[start:start + length]


class NtlmServer:
    """One handshake: challenge() answers a NEGOTIATE message, verify() judges the AUTHENTICATE message after it."""

    def __init__(self, user, password, domain="BITSQ", computer="PROXY"):
        self.user, self.password, self.domain, self.computer = user, password, domain, computer
        self.nonce = None

    def challenge(self):
        self.nonce = secrets.token_bytes(8)
        name = self.domain.encode("utf-16-le")
        pairs = [(AV_DOMAIN, name), (AV_COMPUTER, self.computer.encode("utf-16-le")), (AV_END, b"")]
        info = b"".join(struct.pack("<HH", kind, len(value)) + value for kind, value in pairs)
        head = 48
        return (SIGNATURE + struct.pack("<I", CHALLENGE) + struct.pack("<HHI", len(name), len(name), head)
                + struct.pack("<I", FLAGS) + self.nonce + b"\0" * 8
                + struct.pack("<HHI", len(info), len(info), head + len(name)) + name + info)

    def verify(self, message):
        """True if the client knows the password. Version 1 answers (24 bytes) are refused."""
        if self.nonce is None or message_type(message) != AUTHENTICATE or len(message) < 64:
            return False
        nonce, self.nonce = self.nonce, None  # good for one try
        try:
            answer, domain, user = (_field(message, offset) for offset in (20, 28, 36))
            user, domain = user.decode("utf-16-le"), domain.decode("utf-16-le")
        except (ValueError, struct.error):
            return False
        if len(answer) <= 24 or user.lower() != self.user.lower():
            return False
        key = hmac_md5(md4(self.password.encode("utf-16-le")), (user.upper() + domain).encode("utf-16-le"))
        return hmac.compare_digest(answer[:16], hmac_md5(key, nonce + answer[16:]))
