#!/usr/bin/python3
"""How h11 reads requests: for each input (four bytes of length, little-endian, then the bytes) one line of JSON with the first
request and how many bytes are left behind it, or with what it refuses. Byte strings are in hexadecimal."""
import json
import sys

import h11


def judge(data):
    connection = h11.Connection(h11.SERVER, max_incomplete_event_size=1 << 20)
    request, body, trailers = None, b"", []
    try:
        connection.receive_data(data)
        while True:
            event = connection.next_event()
            if type(event) is h11.Request:
                request = event
            elif type(event) is h11.Data:
                body += bytes(event.data)
            elif type(event) is h11.EndOfMessage:
                trailers = event.headers
                break
            else:
                return {"error": "incomplete"}
    except h11.RemoteProtocolError as error:
        return {"error": str(error)}
    pairs = [[name.hex(), value.hex()] for name, value in request.headers]
    return {"method": request.method.hex(), "target": request.target.hex(), "minor": int(request.http_version[-1:]),
            "fields": pairs, "body": body.hex(), "left": len(connection.trailing_data[0]), "trailers": len(trailers)}


def main():
    while size := sys.stdin.buffer.read(4):
        data = sys.stdin.buffer.read(int.from_bytes(size, "little"))
        print(json.dumps(judge(data)), flush=True)


main()
