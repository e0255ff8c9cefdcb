"""What moves the primary and what must not, in real time, under `azlin watch`."""
import e2e, moves, netns
from rounds import Watch

globals().update(moves.tests(Watch))

if __name__ == "__main__":
    netns.enter()
    e2e.main(globals())
