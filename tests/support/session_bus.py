# SPDX-License-Identifier: LGPL-2.1-or-later
"""A message bus of a test's own, which can start bitsqd as a desktop's would."""
import subprocess

from support.home import BITSQD
from support.wait import DEADLINE_S

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>session</type>
  <listen>unix:path={path}</listen>
  <auth>EXTERNAL</auth>
  <servicedir>{services}</servicedir>
  <policy context="default">
    <allow send_destination="*" eavesdrop="true"/>
    <allow eavesdrop="true"/>
    <allow own="*"/>
    {policy}
  </policy>
</busconfig>
"""


class SessionBus:
    def __init__(self, home, activation=True, policy=""):
        services = home.path / "services"
        services.mkdir(exist_ok=True)
        if activation:
            (services / "org.bitsq1.service").write_text(f"[D-BUS Service]\nName=org.bitsq1\nExec={BITSQD}\n")
        config = home.path / "bus.conf"
        config.write_text(CONFIG.format(path=home.runtime / "bus", services=services, policy=policy))
        log = open(home.log, "ab")
        self.process = subprocess.Popen(["dbus-daemon", "--nofork", "--print-address", f"--config-file={config}"],
                                        stdout=subprocess.PIPE, stderr=log, stdin=subprocess.DEVNULL, text=True,
                                        env=home.env)
        log.close()
        self.address = self.process.stdout.readline().strip()
        assert self.address.startswith("unix:"), self.address
        home.env["DBUS_SESSION_BUS_ADDRESS"] = self.address

    def stop(self):
        self.process.terminate()
        self.process.wait(DEADLINE_S)
        self.process.stdout.close()
