"""Names for experiments that nobody named: an adjective and a noun, such as `brisk-otter`."""

from __future__ import annotations

import random
from collections.abc import Collection

_ADJECTIVES = (
    "able aged airy alert ample apt avid bald balmy basic bold brave brief brisk broad busy calm "
    "cheap civil clean clear close cold cool cosy crisp curly damp dark deep dense dim dry dull "
    "eager early easy equal even exact faint fair fancy fast final fine firm fit flat fluid fond "
    "free fresh full fuzzy gaudy giddy glad good grand great green grey handy happy hardy hasty "
    "heavy high hot huge humid husky icy ideal idle inner jolly juicy just keen kind known large "
    "late lazy lean legal level light lit live local long loose loud loyal lucky lunar major "
    "meek mellow merry mild minor misty moist naive neat new nice nifty noble noisy novel odd "
    "open oral outer oval pale plain plump polar prime proud pure quick quiet rapid rare raw "
    "ready red regal rich rigid ripe rosy rough round royal rural rusty safe salty sane sharp "
    "sheer shiny short shy silky slim slow small smart snug sober soft solar solid sound spare "
    "spicy steep still stout sunny super sure sweet swift tall tame tart tasty terse thick thin "
    "tidy tight tiny tough trim true urban usual valid vast vital vivid warm wary wavy weird "
    "white whole wide wild wise witty young zany"
)
_NOUNS = (
    "acorn agate alder amber anvil apple arch ash aster atlas badge barge bark basil beam bean "
    "bear beech bell birch bison boat bolt book bow brass brick brook buoy cabin cairn camel "
    "canoe cape cedar chalk chart clay cliff cloud clove coal coast cobra comet coral cork crab "
    "crane creek crow cube daisy delta dome dove drum duck dune eagle earth egret elder elk elm "
    "ember fern field finch fir flag flame flint flute foam forge fox frog frost gale gate gecko "
    "glade glass globe goose grain grape grove gull harp hawk hazel heron hill holly horn ibex "
    "inlet iris iron isle ivory ivy jade kelp kite koala lake lamp larch lark leaf lemon lilac "
    "lily lime linen lion llama lotus lynx mango maple marsh mint mole moon moose moss moth "
    "mouse oak oasis ocean olive onyx opal orca otter owl oxide palm panda peach pearl pebble "
    "petal pier pike pine plum pond poppy quail quartz raft rain raven reed reef ridge river "
    "robin rose sage sail salt sand seal shell shore slate snail spark spruce star stone storm "
    "stork straw swan thorn tiger toad topaz torch trail trout tulip vale vine viola walnut "
    "wave whale wheat willow wind wolf wren yarn yew zebra"
)


_MANY = 10_000  # a third of all names


def free_name(taken: Collection[str]) -> str:
    """Return a name that is not taken; the seeds of a person's program do not matter to it."""
    draw = random.SystemRandom()
    while True:
        name = f"{draw.choice(_ADJECTIVES.split())}-{draw.choice(_NOUNS.split())}"
        if name not in taken:
            return name
        if len(taken) > _MANY:
            return f"{name}-{draw.getrandbits(64):x}"
