# SPDX-License-Identifier: LGPL-2.1-or-later
"""Certificates for one test, made with the openssl command: a CA, a server for loopback, a client."""
import subprocess


class Certificates:
    """Files in PEM: ca, server, server_key, client, client_key; stranger and stranger_key are of an issuer of their own."""

    def __init__(self, folder, server_names="DNS:localhost,IP:127.0.0.1,IP:::1"):
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.ca, ca_key = self._issue("ca", None, "basicConstraints=critical,CA:TRUE")
        issuer = (self.ca, ca_key)
        self.server, self.server_key = self._issue("server", issuer, "subjectAltName=" + server_names)
        self.client, self.client_key = self._issue("client", issuer, "extendedKeyUsage=clientAuth")
        self.stranger, self.stranger_key = self._issue("stranger", None, "basicConstraints=critical,CA:TRUE")

    def _issue(self, name, issuer, extension):
        key, certificate = self.folder / f"{name}.key", self.folder / f"{name}.pem"
        signing = [] if issuer is None else ["-CA", issuer[0], "-CAkey", issuer[1]]
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch",
             "-config", "/dev/null", "-subj", f"/CN=bitsq test {name}", "-days", "2", "-addext", extension,
             "-keyout", key, "-out", certificate, *signing], check=True, capture_output=True)
        return certificate, key
