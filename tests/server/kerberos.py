# SPDX-License-Identifier: LGPL-2.1-or-later
"""A Kerberos realm for one test: a KDC on loopback, a user with a ticket, a keytab for HTTP services on this machine.

It needs the KDC of MIT (krb5-kdc, krb5-admin-server's kadmin.local) and kinit (krb5-user).
"""
import os
import socket
import subprocess
import time

REALM = "BITSQ.TEST"
PATIENCE = 60  # seconds

CONFIGURATION = """[libdefaults]
    default_realm = {realm}
    dns_lookup_kdc = false
    dns_lookup_realm = false
    rdns = false
    dns_canonicalize_hostname = false
    qualify_shortname = ""
    udp_preference_limit = 1
[realms]
    {realm} = {{
        kdc = 127.0.0.1:{port}
        key_stash_file = {folder}/stash
    }}
[domain_realm]
    localhost = {realm}
[kdcdefaults]
    kdc_listen = ""
    kdc_tcp_listen = 127.0.0.1:{port}
[dbmodules]
    {realm} = {{
        db_library = db2
        database_name = {folder}/principal
    }}
"""


class Realm:
    """`environment` is what a program needs to find the KDC and the user's ticket; `keytab` is the services'."""

    def __init__(self, folder, user="someone", password="a secret", service="HTTP/localhost"):
        self.folder, self.user, self.password, self.service = folder, user, password, service
        self.keytab = folder / "keytab"
        configuration = folder / "krb5.conf"
        self.environment = {
            "KRB5_CONFIG": str(configuration), "KRB5_KDC_PROFILE": str(configuration),
            "KRB5CCNAME": f"FILE:{folder}/tickets", "KRB5_KTNAME": f"FILE:{self.keytab}", "KRB5RCACHETYPE": "none"}
        folder.mkdir(parents=True, exist_ok=True)
        with socket.create_server(("127.0.0.1", 0)) as probe:
            self.port = probe.getsockname()[1]
        configuration.write_text(CONFIGURATION.format(realm=REALM, port=self.port, folder=folder), encoding="ascii")

    def _run(self, *command, text=None):
        done = subprocess.run(command, env={**os.environ, **self.environment, "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"},
                              input=text, text=True, capture_output=True, timeout=PATIENCE)
        assert done.returncode == 0, done.stderr

    def __enter__(self):
        self._run("kdb5_util", "create", "-r", REALM, "-P", "master", "-s")
        for query in (f"addprinc -pw \"{self.password}\" {self.user}", f"addprinc -randkey {self.service}",
                      f"ktadd -k {self.keytab} {self.service}"):
            self._run("kadmin.local", "-r", REALM, "-q", query)
        self._kdc = subprocess.Popen(["/usr/sbin/krb5kdc", "-n", "-r", REALM], env={**os.environ, **self.environment},
                                     stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._wait()
        self._run("kinit", self.user, text=self.password + "\n")
        return self

    def _wait(self):
        end = time.monotonic() + PATIENCE
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                assert time.monotonic() < end and self._kdc.poll() is None, "the KDC did not start"
                time.sleep(0.02)

    def __exit__(self, *_):
        self._kdc.terminate()
        self._kdc.wait(PATIENCE)
