"""Runs the whole stack in the foreground: Gunicorn instances, proxy and nginx as child processes.

Why not a process manager off the shelf? supervisor 4.3 stops one group after the other and waits for each, so nginx
cannot finish its tunnels while the instances send close frames; a part that dies while running is started again without
back-off, one that cannot start is given up while the rest runs on, its status is 0 all the same (its maintainers say
that is meant), and nothing waits until a part answers. circus 0.19 brings ZeroMQ and Tornado and lacks the same
things. honcho ends with status 0 when a part did, sends SIGTERM to all at once and kills after 5 s. With all three, a
killed manager leaves its children behind. What is needed is small, so it stands here, on asyncio and pidfds: this
process relays no traffic but the lines of the log.

    plan       pure: which processes there are, how each is started, asked whether it answers, and stopped
    sources    which configurations of proxy and nginx a stack is made from: the project's or the templates
    reading    settings and files as they are now: what the stack is to be
    render     pure: the proxy's and nginx's configuration from these
    ports      who listens where: taken ports are named before anything starts
    folder     the state folder and its lock: what a running stack leaves for others to read
    watch      whether a part answers, asked over and over
    listeners  the listening sockets, which outlive the parts that they are handed to (spawning)
    part       one supervised process, started again with back-off
    child      a running process; ending: how parts are ended, and when they are started again; beside:
               those that begin or finish beside the present one; answering: asked until it answers
    control    what a running manager is asked for
    relay      the log: what the parts write to their pipes, with their names (lines), to our own streams (outlet) and into the
               state folder (journal)
    reload     sees changes of the code
    machine    limits, and who may read this checkout
    terminal   what people are told
    notify     what systemd is told
    manager    all of them: start in order, stop in order
    rolling    instances restarted one after another
    reloading  changed settings and files, in the manager; checking: proxy and nginx look at theirs first; restarts: what only a
               restart applies; renewing: the steps of `heliograph reload`
    admin      asks the proxy of a running stack
    deployment pure: files for systemd, containers and Kubernetes
    commands   what `heliograph run` does
"""
