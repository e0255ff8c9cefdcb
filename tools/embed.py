"""Turns shell scripts into C strings, without what only people read: embed.py OUT NAME=FILE..."""
import sys

parts = ["/* Made from *.sh by embed.py. */"]
for pair in sys.argv[2:]:
    name, path = pair.split("=", 1)
    with open(path) as f:
        lines = [line.rstrip("\n") for line in f]
    kept = [line for line in lines if line.strip() and not line.lstrip().startswith("#")]
    quoted = ['  "%s\\n"' % line.replace("\\", "\\\\").replace('"', '\\"').replace("??", "?\\?") for line in kept]
    parts.append("extern const char %s[];\nconst char %s[] =\n%s;\n" % (name, name, "\n".join(quoted)))
with open(sys.argv[1], "w") as f:
    f.write("\n".join(parts))
