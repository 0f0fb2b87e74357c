"""A server as the report describes it, rewritten from that description.

It registers clients in the accept loop, keeps two parallel lists, and broadcasts each recv(1024) as it
came. Its faults are the report's: our checker must find them. Unlike the report's, its address and log
can be chosen.

Usage: server.py [PORT [LOG]]
"""

import logging
import socket
import sys
import threading

port = int(sys.argv[1]) if len(sys.argv) > 1 else 5555
log = sys.argv[2] if len(sys.argv) > 2 else "server.log"
logging.basicConfig(
    filename=log,
    level=logging.INFO,
    format="%(asctime)s - %(levelname)s - %(message)s",
)

server = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
server.bind(("127.0.0.1", port))
server.listen()
print(f"Server running on 127.0.0.1:{server.getsockname()[1]}", flush=True)
logging.info("Server started")

clients = []
nicknames = []


def broadcast(message):
    for client in clients:
        client.send(message)


def handle(client):
    while True:
        try:
            message = client.recv(1024)
            broadcast(message)
            logging.info(f"Message: {message.decode('utf-8')}")
        except Exception:
            index = clients.index(client)
            clients.remove(client)
            client.close()
            nickname = nicknames[index]
            nicknames.remove(nickname)
            broadcast(f"{nickname} left the chat.".encode("utf-8"))
            logging.info(f"{nickname} disconnected")
            break


while True:
    client, address = server.accept()
    print(f"Connected with {address}", flush=True)
    client.send("NICK".encode("utf-8"))
    nickname = client.recv(1024).decode("utf-8")
    nicknames.append(nickname)
    clients.append(client)
    broadcast(f"{nickname} joined the chat!".encode("utf-8"))
    client.send("Connected to server!".encode("utf-8"))
    logging.info(f"{nickname} connected from {address}")
    threading.Thread(target=handle, args=(client,)).start()
