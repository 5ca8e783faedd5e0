# SPDX-License-Identifier: LGPL-2.1-or-later
"""The server application behind an upload-reply job: what bits-server POSTs an uploaded file to.

    with Application(reply=b"done") as app:
        ... bits-server --notify-type 2 --notify-url app.url ...
        assert app.calls[0].data == what_was_uploaded

It speaks both ways of the protocol: by value (the bodies are the file and the reply) and by reference (two headers name
the files); a call says itself which one it is.
"""
import http.server
import threading

PATIENCE = 60  # seconds; wait_for_calls() gives up then


class Call:
    """One POST: its target, its headers, and the file that it brought or named."""

    def __init__(self, target, headers, data, by_reference):
        self.target, self.headers, self.data, self.by_reference = target, headers, data, by_reference


class Application:
    """Answers 200 with `reply` (bytes; a function gets the Call and returns them; None: no reply), but

    - the calls before that with the statuses of `failures`, one each;
    - every call after `delay` seconds, or when the program ends;
    - with the response headers `headers`, of which BITS-Static-Response-URL and BITS-Copy-File-To-Destination mean
      something to the server;
    - with length=False, without a Content-Length, on a connection that ends, as a real application was seen to do.
    """

    def __init__(self, reply=b"", failures=(), delay=0.0, headers=None, length=True, host="127.0.0.1"):
        self.reply, self.failures, self.delay = reply, list(failures), delay
        self.headers, self.length = dict(headers or {}), length
        self.calls = []
        self.stopping = threading.Event()
        self._condition = threading.Condition()
        self._http = http.server.ThreadingHTTPServer((host, 0), self._handler())
        self.port = self._http.server_address[1]
        self.url = f"http://{host}:{self.port}/application"

    def __enter__(self):
        self._thread = threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_):
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()
        self._thread.join(PATIENCE)

    def wait_for_calls(self, count):
        with self._condition:
            if not self._condition.wait_for(lambda: len(self.calls) >= count, PATIENCE):
                raise TimeoutError(f"the application was called {len(self.calls)} times, not {count}")

    def _take(self, handler):
        """Records a call; returns the status and the reply."""
        body = handler.rfile.read(int(handler.headers.get("Content-Length", 0)))
        path = handler.headers.get("BITS-Request-DataFile-Name")
        if path is not None:
            with open(path, "rb") as file:
                body = file.read()
        call = Call(handler.path, handler.headers, body, path is not None)
        with self._condition:
            self.calls.append(call)
            status = self.failures.pop(0) if self.failures else 200
            self._condition.notify_all()
        reply = self.reply(call) if callable(self.reply) else self.reply
        return status, call, reply

    def _handler(application):  # pylint: disable=no-self-argument
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_POST(self):  # pylint: disable=invalid-name
                status, call, reply = application._take(self)
                application.stopping.wait(application.delay)
                body = reply or b""
                if call.by_reference and reply is not None and status == 200:
                    with open(call.headers["BITS-Response-DataFile-Name"], "wb") as file:
                        file.write(reply)
                    body = b""
                try:
                    self.send_response(status)
                    for name, value in application.headers.items():
                        self.send_header(name, value)
                    if application.length:
                        self.send_header("Content-Length", str(len(body)))
                    else:
                        self.send_header("Connection", "close")
                    self.end_headers()
                    self.wfile.write(body)
                except OSError:
                    self.close_connection = True  # the server gave up waiting

            def log_message(self, format, *args):  # pylint: disable=redefined-builtin
                pass

        return Handler
