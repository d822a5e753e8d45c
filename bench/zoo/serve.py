"""Work in processes that start with what their parent has imported: one takes seconds otherwise."""
import json
import os
import signal
import sys
import time
import traceback


def serve(work):
    """For each JSON object that is a line of standard input: work() on it in a process of its own, which has
    task["timeout"] seconds and writes to task["log"]. Answers with a line each: what work() returned, or {"error": ...}."""
    for line in sys.stdin:
        task = json.loads(line)
        reader, writer = os.pipe()
        child = os.fork()
        if child == 0:
            os.close(reader)
            in_child(work, task, writer)
        os.close(writer)
        print(json.dumps(answer_of(child, reader, task)), flush=True)


def in_child(work, task, writer):
    code = 1
    try:
        os.setpgid(0, 0)
        log = os.open(task["log"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(log, 1)
        os.dup2(log, 2)
        answer = work(task)
        code = 0
    except BaseException as error:  # All of it is an answer.
        traceback.print_exc()
        lines = str(error).strip().splitlines()
        answer = {"error": f"{type(error).__name__}: {lines[0] if lines else ''}"[:300]}
    os.write(writer, json.dumps(answer).encode())
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def answer_of(child, reader, task):
    end = time.monotonic() + task["timeout"]
    ended, status = os.waitpid(child, os.WNOHANG)
    while not ended and time.monotonic() < end:
        time.sleep(0.05)
        ended, status = os.waitpid(child, os.WNOHANG)
    if not ended:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(reader)
        return {"error": f"not done within {task['timeout']} s"}
    with os.fdopen(reader, "rb") as pipe:
        text = pipe.read()
    if text:
        return json.loads(text)
    return {"error": f"killed by signal {-os.waitstatus_to_exitcode(status)}"}
