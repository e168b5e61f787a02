"""The words of the bundled model's stories: data only, read by make_stories.py. What is told with them: story_grammar.py."""

# Which set a variable draws from. A variable not named here draws from the set of its own name
# less trailing digits: spot2 from "spot".
VARIABLES = {"hero": "person", "pal": "person", "pkind": "animal", "kind": "child"}

# One record a line; the fields are named in the first line. Every record also has "a", its name
# with the article that fits, and, where there is a column "sex", the pronouns he, him, his.
SETS = {
    "person": """name|sex
Mia|f
Lily|f
Anna|f
Rosa|f
Nora|f
Ella|f
Ruby|f
Clara|f
Daisy|f
Hazel|f
Ivy|f
Molly|f
Polly|f
Tilly|f
Luna|f
Pearl|f
Emma|f
Ben|m
Tom|m
Max|m
Leo|m
Sam|m
Finn|m
Oscar|m
Hugo|m
Otto|m
Jack|m
Oliver|m
Peter|m
Felix|m
Bruno|m
Henry|m
Milo|m
Noah|m
Paul|m
Toby|m""",
    # Only animals that walk, so that every one of them can do what the plots ask.
    "animal": """name
rabbit
bear
fox
mouse
hedgehog
squirrel
kitten
puppy
badger
otter
frog
goat
mole
turtle
pony
pig
raccoon""",
    "child": """name|sex
girl|f
boy|m
girl|f
boy|m
rabbit|
bear|
fox|
mouse|
hedgehog|
squirrel|
kitten|
puppy|
badger|
otter|
frog|
goat|
mole|
turtle|
pony|
pig|
raccoon|""",
    # Old helpers, never a main character.
    "elder": """name
owl
crow
goose
tortoise
toad
swan""",
    "tall": """name
giraffe
horse
elephant
moose""",
    "kin": """name
mother
father
grandmother
grandfather
aunt
uncle
sister
brother""",
    "trait": """name
kind
brave
cheerful
clever
curious
gentle
shy
merry
friendly
quiet
polite
tidy""",
    "home": """name|short
in a small house by the river|the small house
in a cosy burrow under a hill|the cosy burrow
in a white cottage near the sea|the white cottage
in a wooden hut at the edge of the forest|the wooden hut
in a tiny village between two mountains|the tiny village
on a farm with a red barn|the farm
in a round house under an oak tree|the round house
on a blue boat on a calm lake|the blue boat
in a yellow wagon at the end of the road|the yellow wagon""",
    "hobby": """name
sing old songs
count the birds
paint pictures
read books
climb trees
jump in puddles
pick berries
pick nuts
tell funny stories
collect leaves
build towers of stones
watch the clouds
play hide and seek
splash in the rain
draw maps
plant flowers
blow bubbles
roll down the hill
feed the ducks""",
    "nook": """name
in the tall grass
under the old bridge
beside the well
near the big rock
behind the barn
by the pond
next to the gate
behind a haystack
beside a stone wall""",
    "toy": """name
red ball
silver bell
wooden boat
toy train
warm scarf
yellow hat
little drum
picture book
golden key
paper lantern
shiny whistle
soft blanket
green umbrella
music box""",
    "spot": """name
under the bed
behind the door
in the tall grass
under the old bridge
beside the well
near the big rock
behind the barn
under a thorny bush
by the pond
next to the gate
under the stairs
behind the baker's shop
between the roots of a tree""",
    "broken": """name|part|job
cart|wheel|roll
wagon|wheel|roll
swing|rope|move
chair|leg|stand
table|leg|stand
kite|tail|fly
boat|mast|sail
drum|strap|play
rocking horse|foot|rock""",
    "weak": """name|fault
a blade of grass|snapped
some sticky mud|dried and fell off
a bit of honey|dripped on the floor
a long leaf|tore in two
a piece of cheese|crumbled""",
    "tool": """name
a hammer and two nails
a pot of strong glue
a ball of thick string
a needle and some wire""",
    # What one may be afraid of: when it happens, what the fearful one does, what a friend says and does.
    "fear": """name|when|does|advice|act|after
the dark|when the lamp went out|hid under the blanket|The dark is only the day taking a nap|sat by the window and looked at the stars|the night seemed soft and friendly
thunder|when the sky began to rumble|crawled under the table|Thunder is only the clouds playing drums|beat on a pot after every boom|the storm sounded like a song
deep water|when the others went to the lake|stayed on the shore|The water will carry you if you lie still|walked in slowly, one step at a time|the water felt as light as a pillow
high places|when the path went up the hill|held on to a tree and shook|Look at the next step, not at the valley|climbed up hand in hand|the whole world lay below like a picture
the wind|when the wind howled in the chimney|covered both ears|The wind is only looking for someone to play with|ran outside and let the wind fill their coats|the wind felt like a merry dance
shadows|when the moon drew shapes on the wall|closed both eyes tight|A shadow only copies what you do|made a bird and a snail with their hands|the shadows looked like a puppet show""",
    # Lost little ones: their home and their mother's first words.
    "baby": """name|home|call
duckling|at the duck pond|Quack
chick|in the hen house|Cluck
lamb|on the meadow|Baa
foal|in the stable|Neigh
cub|in a cave|Growl
gosling|in the reeds|Honk
piglet|behind the pig pen|Oink
owlet|in a hole of the elm|Hoo""",
    "farm": """name
cow
sheep
hen
cat
dog
ox""",
    "dish": """name
strawberry cake
blueberry pie
cheese bread
apple tart
honey buns
nut cookies
cream puffs""",
    "drink": """name
cold milk
mint tea
cherry juice
hot chocolate
fresh water
lemonade""",
    "share": """name|turn
swing|swung high and low
slide|slid down
tricycle|rode once around the yard
trumpet|blew a long note
skipping rope|skipped ten times
scooter|rolled to the corner and back""",
    # Things to learn: what goes wrong twice, the tip, how it looks when it works.
    "skill": """name|fail|again|tip|works
swim|splashed a lot and swallowed water|sank like a stone|Kick your legs slowly and breathe|glided across the pond
whistle|blew and blew, but there was only air|made a sound like a kettle|Wet your lips and make them round|let out a clear, bright note
ride a bicycle|wobbled into the hedge|fell into a heap of leaves|Look far ahead and keep your feet turning|rode all the way to the mill
fly a kite|ran until the kite hit a post|got the string in a knot|Wait until the wind tugs, then let go|saw the kite rise above the roofs
row a boat|went around in circles|lost an oar|Pull with both arms at the same time|rowed straight to the island
bake bread|burned the loaf until it was black|forgot the salt and the yeast|Let the dough rest before you bake it|took a golden loaf out of the oven
stand on one leg|tipped over at once|waved both arms and fell|Fix your eyes on one thing that does not move|stood as still as a flamingo""",
    "fruit": """name|food
apple|a warm apple pie
pear|a sweet pear cake
plum|a jar of plum jam
peach|a bowl of peach cream
orange|a jug of orange juice""",
    "step": """name|fails
a wooden box|the box was too low
a long stick|the stick was too short
a small ladder|two steps were missing
a pile of stones|the pile fell down
a big jump|the branch was much too high""",
    "stuck": """name|where|free
sheep|in the deep mud|With a loud plop the sheep came out
cow|in a ditch|With a great heave the cow stood on the road again
cat|at the top of a pine|Slowly the cat slid down into a blanket
snail|in a bottle|The bottle tipped, and the snail crept out
goose|in a thick hedge|The twigs parted, and the goose shook its wings""",
    "excuse": """name
I have to sweep the floor
I must write a letter
I have to mend my shoes
I must feed the chickens
I have to chop some wood
I must wash the windows""",
    "game": """name
tag
marbles
catch
leapfrog
pirates
cards""",
    "plant": """name|grown
sunflower|with a face as wide as a plate
tulip|with petals as red as fire
pumpkin|as big as a coach
rose|with the sweetest smell in town
bean|that reached up to the roof
melon|as round as the moon
daisy|as white as snow""",
    "noise": """name|from|quiet
tap, tap, tap|a loose shutter|tied the shutter with a cord
drip, drip, drip|a leaky tap|put a sponge under the tap
chirp, chirp, chirp|a lonely cricket|carried the cricket to its family in the field
scratch, scratch, scratch|a twig at the window|bent the twig away from the glass
creak, creak, creak|a rusty door|rubbed some butter on the door""",
    "rest": """name
put a pillow over both ears
drank a cup of warm milk
counted a hundred sheep
turned around three times
moved to the other end of the bed
read a long chapter""",
    "dear": """name
blue vase
china teapot
green plate
big jar
clay jug
sugar pot
flower pot""",
    "hide": """name
under the carpet
behind the stove
in a drawer
under a heap of sand
in an empty boot
in the laundry basket""",
    "gift": """name
a load of straw
a stack of bricks
a sack of nails
a window with a frame
an iron stove
a bag of feathers for a bed
a front door with a brass knob""",
    "race": """name
running race
sack race
egg race
potato race
hopping race
wheelbarrow race""",
    "goal": """name
the finish line
the lighthouse
the white flag
the foot of the hill
the fountain
the castle""",
    "prize": """name
a bronze medal
a crown of flowers
a silver cup
a basket of pears
a box of sweets
a bag of walnuts""",
    "instrument": """name
violin
trumpet
harp
banjo""",
}
