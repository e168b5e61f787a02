"""The words and the plots of the bundled model's stories: data only, read by make_stories.py.

Notation of a template:
  (a|b|)        one of these, the last one empty
  <rule>        the text of another rule in RULES
  {var}         the name of a variable; {var.field} another field of its record
  {^var.field}  the same with a capital first letter
A variable takes its value (a record of its set) where it first appears and keeps it to the end of
the story. No two variables of one story ever have the same name, so nobody meets himself; only two
animals may be of one kind.
"""

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

# The shared pieces, then the plots. Every alternative is a piece of plain English of its own.
RULES = {
    "story": "<open> <likes> <plot>",
    "open": """(Once upon a time(|,) there was {trait.a} little {kind} named {hero}. {^hero.he} lived {home}.
        |Once upon a time, {trait.a} little {kind} named {hero} lived {home}.
        |Long ago, {trait.a} little {kind} named {hero} lived {home}.
        |There once was {trait.a} little {kind} who lived {home}. {^hero.his} name was {hero}.
        |{hero} was {trait.a} little {kind} who lived {home}.)""",
    "likes": """({^hero.he} loved to {hobby}(| whenever {hero.he} could| more than anything).
        |Every (morning|Sunday|evening), {hero} liked to {hobby}.
        |Most of all, {hero} liked to {hobby}.)""",
    "day": "One (sunny|bright|warm|windy|cool|fine|cloudy) (morning|afternoon|day)(| in spring| in autumn| in May),",
    "sad": "(sad|worried|unhappy|upset)",
    "meet": """((Just then|Soon|After a while), {pal} the {pkind} came (by|along|down the path).
        |{pal} the {pkind} (heard|saw) this and came closer.)""",
    "cheer": "(Do not worry|Do not cry|Cheer up|Never mind), {hero}",
    "thanks": "\"(Thank you|Thank you so much|Oh, thank you), {pal}!\" (said|cried|laughed) {hero}.",
    "bed": """That (night|evening), {hero} went home to {home.short} and
        (slept well|fell asleep with a smile|told {hero.his} {kin} all about it).""",
    # Ends of a plot with a friend, and of one with strangers only.
    "end": """(From that day on, {hero} and {pal} were (best|good|true) friends(|, and they often went out to {hobby} together).
        |<bed>
        |The next (day|morning), {hero} and {pal} went out to {hobby} together.
        |And when {hero} went out to {hobby} again, {pal} came too.)""",
    "endalone": """(<bed>
        |The next (day|morning), {hero} went out to {hobby} again, (happier than ever|with a light heart|as merry as a lark).
        |And every year on that day, {hero} told the tale to all who came to {home.short}.)""",

    "plot": """(<lost>|<mend>|<afraid>|<baby>|<picnic>|<turns>|<learn>|<tree>|<rescue>|<birthday>
        |<newcomer>|<garden>|<noisy>|<honest>|<house>|<contest>)""",

    "lost": """<day> {hero} could not find {hero.his} {toy}. It was a gift from {hero.his} {kin}, and {hero} was very <sad>.
        {^hero.he} looked {spot}, but (it was not there|there was only dust|there was only a sleepy beetle). <meet>
        "I have lost my {toy}," (said|sobbed) {hero}. "<cheer>. (I will help you look|We will find it)," said {pal}.
        (At last|Soon|Then) {pal} saw something {spot2}. It was the {toy}! <thanks>
        ((Two pairs of eyes see more than one.|A good friend makes every search shorter.|What is lost is found sooner with a friend.)|<end>)""",

    "mend": """<day> the {broken.part} of {hero}'s {broken} broke, and it would not {broken.job} any more.
        {hero} tried to mend it with {weak}, but it {weak.fault}. {^hero.he} was <sad>. <meet>
        "<cheer>. (I know what you need|I have just the right thing)," said {pal}, and {pal.he} came back with {tool}.
        {hero} held the {broken.part} and {pal} (worked|pushed) until it was firm. Now the {broken} could {broken.job} (again|as before|better than before).
        <thanks> ((The right tool makes hard work easy.|Some things are too hard for two hands but easy for four.|It is no shame to ask for help.)|<end>)""",

    "afraid": """But {hero} was afraid of {fear}. {^fear.when}, {hero.he} (always|often) {fear.does}.
        <day> {hero.he} (told|spoke to) {pal} the {pkind} about it. {pal} did not laugh.
        "I was afraid of {fear} too," said {pal}. "{fear.advice}. (Come and see|Let us try it together|Take my hand)."
        So the two friends {fear.act}. {hero}'s heart beat fast (at first|for a moment), but then {fear.after}.
        "(I did it|I am not afraid any more|It is not so bad)!" (cried|called|laughed) {hero}.
        ((To be brave is to be afraid and to try.|Fear grows small when you share it.|A friend beside you makes you bold.)|<end>)""",

    "baby": """<day> {hero} heard a (tiny|thin|faint) cry {nook}. There sat a little {baby}, all alone.
        "I want my mother," (sobbed|wept) the {baby}. "Do not cry, little one. I will take you home," said {hero}.
        They came to {farm.a}. "Is this your little one?" asked {hero}. "No," said the {farm}, "but I heard somebody call {baby.home}."
        "{baby.call}! {baby.call}!" called a voice {baby.home}. It was the mother! She (kissed|hugged) the {baby} (again and again|a hundred times).
        "You have a (good|golden|big) heart, {hero}," said the mother.
        ((Even small helpers do great things.|Nobody is too small to help.|There is no place like home.)|<endalone>)""",

    "picnic": """<day> {hero} and {pal} the {pkind} packed {dish} and {drink} for a picnic. They spread a cloth {nook} and sat down.
        But a (grey|dark|black) cloud came, and it began to rain. They (crept|sat) under a big leaf, but it was too small.
        An old {elder} (looked|peeped) out of (a barn|a shed|a mill). "Come in, it is dry here," said the {elder}.
        They shared the {dish} with the {elder}, and the {elder} (lit a fire|told them riddles|played an old {instrument}).
        ((A bad day can turn into a good one.|Good company is better than good weather.|Where friends sit together, the sun shines.)|<end>)""",

    "turns": """<day> {hero} and {pal} the {pkind} found a {share} {nook}. "I saw it first," said {hero}. "No, it is mine," said {pal}.
        They (shouted|quarrelled) until both were (red in the face|tired|cross).
        "There is one {share}, but there is plenty of time," said an old {elder}. "Take turns."
        {hero} (thought about it|was ashamed|looked at the ground). "You may go first," {hero.he} said. So {pal} {share.turn}, and then {hero} {share.turn}.
        (Soon|Before long) they were laughing. "I am sorry," said {pal}. "So am I," said {hero}.
        ((To share is to have twice the fun.|Half a joy shared is a whole joy.|A toy is only half as nice alone.)|<end>)""",

    "learn": """But {hero} had a (big|secret) wish: {hero.he} wanted to learn to {skill}. <day> {hero.he} tried it,
        but {hero.he} {skill.fail}. {^hero.he} tried again, but {hero.he} {skill.again}. "(I give up|I will never learn it|It is too hard)," said {hero}. <meet>
        "{skill.tip}," said {pal}. {hero} practised (every morning|day after day|until it was dark), and {pal} (watched|helped|cheered).
        (Then one day|After a week|At last) {hero} {skill.works}. "Look at me, {pal}!" (cried|called) {hero}.
        ((Those who try again will win in the end.|Nobody is born a master.|Every big thing begins with a small step.)|<end>)""",

    "tree": """<day> {hero} saw a (ripe|juicy|lovely) {fruit} at the top of a tree. {^hero.he} was very hungry, but the branch was high.
        {^hero.he} tried {step}, but {step.fails}. Just then {tall.a} came (by|down the road).
        "(Good|Dear) {tall}, can you reach that {fruit}?" asked {hero}. The {tall} shook the branch, and down came (ten|a dozen|twenty) of them.
        At home, {hero.his} {kin} made {fruit.food}, and {hero} brought the {tall} a (big|large) share of it.
        ((Ask nicely, and help is near.|What you give comes back to you.|Some are tall and some are small, but all can be kind.)|<endalone>)""",

    "rescue": """<day> {hero} heard somebody call for help. {^stuck.a} was stuck {stuck.where}! {hero} (pulled|pushed) with all {hero.his} might, but (nothing moved|it was no use).
        "(Hold on|Wait), I will fetch help," said {hero}, and {hero.he} ran to {pal} the {pkind}. {pal} came at once and brought (a long rope|a strong plank|a shovel).
        "One, two, three!" (shouted|called) {hero}, and both of them worked as one. {stuck.free}. "You saved me," said the {stuck}.
        {hero} was tired but (happy|glad|delighted|pleased). ((Many hands can do what one cannot.|Together we are strong.|Help is best when it comes quickly.)|<end>)""",

    "birthday": """<day> it was {hero}'s birthday, but nobody said a word about it. {hero} went to {pal} the {pkind}. "Do you want to play {game}?" {hero.he} asked.
        "Not today," said {pal}, "{excuse}." {hero} went to {pal2} the {pkind2}. "I have no time," said {pal2}, "{excuse2}."
        {hero} walked home slowly. {^hero.he} came to {home.short} and opened the door. "Surprise!" (shouted|called|cried) {pal} and {pal2}.
        There was {dish} on the table, and {pal2} gave {hero.him} a {toy} with a (bow|card) on it.
        ((Good friends never forget.|It was the best birthday of all.|The best gift of all is a friend.)|<end>)""",

    "newcomer": """But {hero} had just moved there and did not know (anybody|a soul). <day> {hero.he} saw some children play {game},
        but {hero.he} (felt too shy|did not dare to speak|could not say a word). The next day {hero.he} took {dish} along.
        {hero} (turned red|trembled) and said to {pal} the {pkind}, "My name is {hero}. Would you like some {dish}?" "I love {dish}!" (said|cried) {pal}.
        "Do you know how to play {game}?" "No," said {hero}, "but I can show you how to {hobby}." So they did both.
        ((A friend is only one hello away.|Say hello, and the world says hello to you.|It takes courage to say the first word.)|<end>)""",

    "garden": """In spring, {hero} planted {plant.a} {nook}. {^hero.he} watered it and waited, but nothing came up.
        {^hero.he} sang to it, but nothing came up. {^hero.he} (shouted|stamped {hero.his} foot), but nothing came up.
        "My seed is (dead|no good)," said {hero}. An old {elder} (shook its head|smiled). "It needs sun, rain, and time," said the {elder}. "Can you be patient?"
        {hero} pulled the weeds and waited. One morning a tiny green (leaf|tip) stood there.
        It grew all summer, and in the end it was {plant.a} {plant.grown}.
        ((Good things take time.|All things grow when they are ready.|To wait is hard, but it is worth it.)|<endalone>)""",

    "noisy": """One (cold|dark|quiet) night {hero} could not sleep. "{^noise}," it went(| again and again). {^hero.he} {rest}, but still it went on. "{^noise}."
        "What can it be?" (whispered|wondered) {hero}. "(A ghost|A monster|A thief)?" {^hero.he} went to wake {hero.his} {kin}.
        Hand in hand they tiptoed through {home.short} with a (lamp|candle|lantern). And what did they find? It was only {noise.from}!
        {hero} {noise.quiet}, and (all was still|the noise stopped). "(You were very brave|Now we can sleep)," said {hero.his} {kin}.
        (Most ghosts are small when you look at them.|A little light chases big fears away.|Look closely before you are afraid.)""",

    "honest": """<day> {hero} played {game} in the kitchen. Crash! The {dear} of {hero.his} {kin} lay on the floor in pieces.
        {hero} (turned pale|was frightened) and hid the pieces {hide}. But at supper {hero.he} could not eat, and at night {hero.he} could not sleep.
        In the morning {hero.he} went to {hero.his} {kin}. "I broke your {dear}," said {hero}. "I am so sorry."
        "I am (a little|a bit) sad," said {hero.his} {kin}, "but I am proud that you told me the truth."
        Together they glued the pieces, and {hero} felt as light as a (feather|cloud).
        ((The truth is the best broom for a heavy heart.|A true word mends more than glue.|It is never too late to be honest.)|<endalone>)""",

    "house": """One night a (great|wild|terrible) storm blew the house of {pal} the {pkind} away. "I have no home now," (sobbed|said) {pal}.
        "You can stay with us," said {hero}, "and we will build you a new one." {hero} (knocked on every door|asked all the neighbours).
        {pal2} the {pkind2} brought {gift}. {pal3} the {pkind3} brought {gift2}. An old {elder} brought {gift3}.
        After (three days|a week) the new house was ready, (warmer|stronger|prettier) than the old one. <thanksall>
        ((A home is built by many hands.|Neighbours are the best roof.|After the storm comes the sun.)|<end>)""",
    "thanksall": "\"Thank you, (all of you|dear friends)!\" (said|cried) {pal}.",

    "contest": """<day> there was {race.a} to {goal}. The prize was {prize}, and {hero} wanted to win it.
        {hero} was (fast|quick), and (soon|before long) {hero.he} was ahead of all the others. Then {hero.he} heard a cry. {pal} the {pkind} (had hurt {pal.his} knee|had twisted {pal.his} ankle).
        {hero} (turned around|stopped) and went back. "Lean on me," said {hero}.
        Side by side they reached {goal}, the last of all. But (everybody clapped|the crowd cheered|hats flew into the air),
        and {pal2} the {pkind2}, who was the fastest, gave {hero.him} {prize}.
        ((To win is fine, but to help is finer.|A kind heart is the best prize.|Who stops for a friend has never lost.)|<end>)""",
}
