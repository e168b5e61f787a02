"""The plots of the bundled model's stories: data only, read by make_stories.py. The words are in story_words.py.

Notation of a template:
  (a|b|)        one of these, the last one empty
  <rule>        the text of another rule in RULES
  {var}         the name of a variable; {var.field} another field of its record
  {^var.field}  the same with a capital first letter
A variable takes its value (a record of its set) where it first appears and keeps it to the end of
the story. No two variables of one story ever have the same name, so nobody meets himself; only two
animals may be of one kind.
"""

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
