# SPDX-License-Identifier: LGPL-2.1-or-later
"""What AuthProxy asks of a client: for each scheme, how one TCP connection proves who it is."""
import base64
import hashlib
import re
import secrets

from server.ntlm import AUTHENTICATE, NEGOTIATE, NtlmServer, message_type

REALM = "auth-proxy"


def _decode(text):
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        return b""


class Verdict:
    """allowed, or the challenges to answer with; extra is a header value to send with a success."""

    def __init__(self, allowed, challenges=(), extra=None):
        self.allowed, self.challenges, self.extra = allowed, list(challenges), extra


class Accounts:
    """Who may pass: user and password for Basic, Digest and NTLM, a keytab for Negotiate."""

    def __init__(self, user="someone", password="a secret", domain="BITSQ", keytab=None):
        self.user, self.password, self.domain, self.keytab = user, password, domain, keytab
        self.nonces = set()  # of Digest; discard one to make it stale
        self.principals = []  # whom Negotiate let in

    def digest_response(self, method, parameters):
        md5 = lambda text: hashlib.md5(text.encode()).hexdigest()
        ha1 = md5(f"{self.user}:{REALM}:{self.password}")
        ha2 = md5(f"{method}:{parameters.get('uri')}")
        middle = ":".join(parameters.get(name, "") for name in ("nonce", "nc", "cnonce", "qop"))
        return md5(f"{ha1}:{middle}:{ha2}")


class ConnectionAuth:
    """The state of one TCP connection. NTLM and Negotiate hold for all its later requests, Basic and Digest for one."""

    def __init__(self, accounts, schemes):
        self.accounts, self.schemes = accounts, schemes
        self.bound = None  # the scheme that this connection has authenticated itself with
        self._handshake = None
        self._gss = None

    def challenges(self, stale=False):
        texts = []
        for scheme in self.schemes:
            if scheme == "Basic":
                texts.append(f'Basic realm="{REALM}"')
            elif scheme == "Digest":
                nonce = secrets.token_hex(16)
                self.accounts.nonces.add(nonce)
                texts.append(f'Digest realm="{REALM}", qop="auth", algorithm=MD5, nonce="{nonce}"'
                             + (", stale=true" if stale else ""))
            else:
                texts.append(scheme)
        return texts

    def check(self, method, target, credential):
        """CREDENTIAL is the value of the header, or None."""
        if credential is None:
            return Verdict(self.bound is not None, self.challenges())
        name, _, rest = credential.partition(" ")
        scheme = next((each for each in self.schemes if each.lower() == name.lower()), None)
        if scheme is None:
            return Verdict(False, self.challenges())
        return getattr(self, "_" + scheme.lower())(method, target, rest.strip())

    def _basic(self, _method, _target, rest):
        wanted = f"{self.accounts.user}:{self.accounts.password}".encode()
        return Verdict(_decode(rest) == wanted, self.challenges())

    def _digest(self, method, target, rest):
        parameters = {name.lower(): quoted or plain
                      for name, quoted, plain in re.findall(r'(\w+)\s*=\s*(?:"([^"]*)"|([^\s,]*))', rest)}
        # To a proxy some clients (curl) name the path only, though the request line has the whole URL.
        path = re.sub("^http://[^/]*", "", target)
        right = (parameters.get("username") == self.accounts.user and parameters.get("uri") in (target, path)
                 and parameters.get("response") == self.accounts.digest_response(method, parameters))
        stale = right and parameters.get("nonce") not in self.accounts.nonces
        return Verdict(right and not stale, self.challenges(stale))

    def _bearer(self, _method, _target, rest):
        return Verdict(rest == self.accounts.password, self.challenges())

    def _ntlm_message(self, scheme, message):
        self.bound = None  # a new handshake: what was proved before no longer counts
        if message_type(message) == NEGOTIATE:
            self._handshake = NtlmServer(self.accounts.user, self.accounts.password, self.accounts.domain)
            return Verdict(False, [f"{scheme} " + base64.b64encode(self._handshake.challenge()).decode()])
        if message_type(message) == AUTHENTICATE and self._handshake is not None and self._handshake.verify(message):
            self.bound = scheme
            return Verdict(True)
        self._handshake = None
        return Verdict(False, self.challenges())

    def _ntlm(self, _method, _target, rest):
        return self._ntlm_message("NTLM", _decode(rest))

    def _negotiate(self, _method, _target, rest):
        token = _decode(rest)
        if message_type(token) is not None:  # NTLM in Negotiate's clothes, as clients without a ticket send it
            return self._ntlm_message("Negotiate", token)
        import gssapi  # only this scheme needs it  # pylint: disable=import-outside-toplevel

        self.bound = None
        try:
            if self._gss is None:
                store = {"keytab": str(self.accounts.keytab)}
                self._gss = gssapi.SecurityContext(creds=gssapi.Credentials(usage="accept", store=store),
                                                   usage="accept")
            answer = self._gss.step(token)
        except gssapi.exceptions.GSSError:
            self._gss = None
            return Verdict(False, self.challenges())
        text = "Negotiate " + base64.b64encode(answer or b"").decode()
        if not self._gss.complete:
            return Verdict(False, [text])
        self.accounts.principals.append(str(self._gss.initiator_name))
        self._gss, self.bound = None, "Negotiate"
        return Verdict(True, extra=text if answer else None)
