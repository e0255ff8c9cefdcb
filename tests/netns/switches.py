"""What moves the primary and what must not, in real time, with `azlin failover --auto` run again and again."""
import e2e, moves, netns
from rounds import Once

globals().update(moves.tests(Once))

if __name__ == "__main__":
    netns.enter()
    e2e.main(globals())
