"""java - runs the one-file Java programs of this folder with the jars of the Kafka that scripts/kafka has."""
import functools
import os
import subprocess

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FLAGS = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Dlog4j2.level=WARN"]


@functools.cache
def classpath():
    """The jars; fetched when they are not there."""
    asked = subprocess.run([os.path.join(ROOT, "scripts", "kafka"), "classpath"], check=True, stdout=subprocess.PIPE)
    return asked.stdout.decode().splitlines()[-1]


def run(program, *arguments, stdin=b""):
    """Its standard output, as lines. `program` is the name of a file of this folder, or a path."""
    line = ["java", *FLAGS, "-cp", classpath(), os.path.join(HERE, program), *map(str, arguments)]
    ended = subprocess.run(line, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, check=False)
    if ended.returncode != 0:
        raise AssertionError(f"{program} ended with {ended.returncode}:\n{ended.stderr.decode()[-4000:]}")
    return ended.stdout.decode().splitlines()
