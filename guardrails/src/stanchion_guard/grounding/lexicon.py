"""Small hand-made English word lists behind the claim checks. Everything is lower case; stems are made on first use."""

# ruff: noqa: E501 - lists of words

from __future__ import annotations

from functools import cache


def word_set(text: str) -> frozenset[str]:
    return frozenset(text.split())


STOP = word_set(
    """a about above after again against all also am an and any are as at be because been before being below
    between both but by can could did do does doing down during each else even ever few for from further get
    gets got had has have having he her here hers him his how however i if in into is it its itself just let
    like many may me might more most much must my no nor not now of off on once one only onto or other our out
    over own per rather said same shall she should since so some such than that the their them then there these
    they this those though through thus to too under until up upon us very was we were what when where whether
    which while who whom whose why will with within without would yes you your lrb rrb lsb rsb s t d ll m re ve
    etc e.g i.e oh yeah ok okay well really quite"""
)
NEGATORS = word_set(
    """not n't no never none nobody nothing nowhere neither nor cannot without refused refuses refuse fails failed
    fail lacks lack lacking unable denied denies deny yet didn't doesn't don't isn't wasn't aren't weren't
    hasn't haven't hadn't won't wouldn't can't couldn't shouldn't ain't incapable avoided avoids prevented
    prohibits prohibited"""
)
DENIERS = word_set("""refusing declined declines decline rejected rejects reject ceased failing""")
"""Words of content that deny what follows them. Unlike `NEGATORS` they are compared with the sources as well."""
CLAUSE_DENIERS = word_set("""forbidden prohibited banned excluded cancelled rejected refused impossible false untrue""")
"""Predicates that deny their whole clause, what stands before them too: "smoking is forbidden"."""
EXCEPT = word_set("""except excluding excludes exclude excepting unlike""")
"""Words that take what follows them out of what is said."""
TURNS = word_set("""but although though while whereas however because unless except since which who despite""")
"""Words that begin a clause which a negation before them does not reach."""
JOINED = word_set("""and while whereas but or as although though""")
"""Words that begin a clause of its own, or another item of a list."""
FUNCTION_OPPOSITES = word_set(
    """before after above below over under up down inside outside more less fewer most few all none with without still
    many always never once he she his her him only up"""
)
"""Words too common to count as content, in which claim and sources may nevertheless contradict each other."""
RESTRICTORS = word_set(
    """only solely exclusively never always all every entirely completely none nobody nothing purely merely
    strictly everyone everything mainly"""
)
OPINION = word_set(
    """i i'm i've i'd my me mine myself we our love loved enjoy favorite favourite think believe guess hope wish
    wonder sure agree cool awesome amazing interesting glad personally haha lol wow"""
)
PRONOUNS = word_set("""he she it they his her its their this these that""")
"""With one of these as subject the sources do not name whom they speak of, and a claim may."""
TALK = word_set("""i i'm i've i'd you your me my we our us yes yeah no well oh wow hi sure okay actually sorry""")
"""Words of conversation: an answer that chats is measured by another rod than a bare claim."""
UPPER_BOUNDS = word_set("""over above exceeding exceeds exceeded least more""")
LOWER_BOUNDS = word_set("""under below fewer most less""")
ABOUT = word_set("""about around roughly approximately nearly almost some circa""")

_SYNONYMS = """film movie picture | author writer novelist wrote | actor actress star starring performer acted | song single track
| start begin commence began begun | end finish conclude ceased | create make made develop produce | found
establish co-found start form | big large huge great | small little tiny | kill murder slay | buy purchase acquire
bought | tv television | nation country | city town | company firm corporation business | job occupation profession
work | child kid children | woman female women lady | man male men gentleman | singer vocalist | musician artist |
music musical | doctor physician | lawyer attorney | car automobile vehicle | show series program programme sitcom
| live reside residence inhabit | die death dead died | bear birth born | marry marriage husband wife spouse wed |
win won victory | award prize | release publish issue premiere debut | direct director directed | write written
wrote writer | sing sung singer | play played player | teach teacher taught | lead leader led head | begin began
beginning | soccer football | usa us american america united | uk british britain | england english | france french
| germany german | spain spanish | italy italian | china chinese | japan japanese | india indian | russia russian |
canada canadian | australia australian | mexico mexican | brazil brazilian | ireland irish | scotland scottish |
greece greek | sweden swedish | norway norwegian | denmark danish | netherlands dutch holland | poland polish |
turkey turkish | korea korean | israel israeli | egypt egyptian | argentina argentine argentinian | appear feature
featured star | help aid assist | use utilize employ | quick fast rapid | famous well-known renowned notable
popular known | many numerous several | kind type sort variety | part portion | old ancient | happen
occur took take place | locate situate based | call name title | member belong | comprise include contain consist
compose | money fund financial | illness disease sickness | ocean sea | picture image photo | home house | graduate degree | university college | school academy | band
group | sport athletic | win champion championship | mother mom parent | father dad parent | brother sibling |
sister sibling | son child | daughter child | boat ship | plane aircraft airplane | stone rock | shop store | meal
food dish | person people human | president presidential | politician political | actor acting act | rich wealthy |
increase rise grow grew | decrease fall drop decline fell | test exam trial | answer reply response | begin origin
originate | often frequently commonly | usual typical | almost nearly | sell sold sale | travel trip journey"""

_ANTONYMS = """increase decrease | increase fall | rise fall | rose fell | grow shrink | up down | before after | above below |
over under | more less | more fewer | most least | high low | higher lower | highest lowest | large small | larger
smaller | largest smallest | big little | long short | longer shorter | longest shortest | old new | old young |
older younger | oldest youngest | oldest newest | first last | first second | early late | earlier later | begin
end | start end | start finish | start stop | open close | win lose | won lost | winner loser | alive dead | live
die | born died | birth death | male female | man woman | men women | boy girl | husband wife | father mother | son
daughter | brother sister | king queen | north south | east west | northern southern | eastern western | northeast
southwest | northwest southeast | left right | good bad | better worse | best worst | positive negative | true
false | real fictional | real fake | fiction nonfiction | possible impossible | legal illegal | safe dangerous |
hot cold | warm cool | summer winter | day night | morning evening | public private | rich poor | strong weak |
hard soft | easy difficult | easy hard | fast slow | success failure | succeed fail | successful unsuccessful |
accept reject | allow forbid | allow prohibit | permit ban | approve reject | agree disagree | love hate | like
dislike | friend enemy | ally enemy | gain lose | profit loss | buy sell | import export | input output | include
exclude | internal external | inside outside | major minor | majority minority | maximum minimum | common rare |
frequent rare | usually rarely | often rarely | often seldom | always never | all none | all some | everyone nobody
| every no | many few | same different | similar different | single married | domestic foreign | domestic wild |
domesticated wild | war peace | attack defend | victory defeat | create destroy | build destroy | join leave |
arrive depart | enter exit | ancient modern | black white | dark light | wet dry | heavy light | thick thin | wide
narrow | deep shallow | full empty | active inactive | active retired | professional amateur | guilty innocent |
convict acquit | support oppose | raise lower | add remove | extend shorten | expand contract | improve worsen |
upgrade downgrade | enable disable | present absent | presence absence | hero villain | protagonist antagonist |
comedy tragedy | comedy drama | fiction documentary | fact fiction | animated live-action | even odd | vertical
horizontal | solid liquid | acid base | urban rural | senior junior | superior inferior | teacher student |
employer employee | parent child | buyer seller | ancestor descendant | permanent
temporary | required optional | mandatory optional | voluntary mandatory | optional compulsory | free paid | online
offline | refund charge | succeed precede | preceding following | previous next | asleep awake | popular unpopular
| known unknown | certain uncertain | able unable | sole joint | alone together | single multiple | independent
dependent | conservative liberal | democrat republican | left-wing right-wing"""

_SIDES = """success successful succeed hit acclaim acclaimed praise praised positive favourable favorable profit profitable bestseller /
failure flop fail failed unsuccessful pan panned criticise criticised criticize criticized negative unfavourable unfavorable bomb loss
| like love enjoy adore admire / dislike hate loathe detest | support favour favor back approve defend advocate endorse for / oppose
reject against criticise criticize condemn protest | alive live living lives survive survived / dead die died death kill killed deceased
assassinate assassinated murder murdered execute executed perish drown | start begin open launch debut founded establish / end close
cancel cancelled canceled cease ceased stop finish discontinue dissolve disband defunct closed | join enter / leave quit exit depart
left | married wife husband spouse wed marry / unmarried single bachelor divorced | allow allowed permit permitted legal / forbid
forbidden ban banned prohibit prohibited illegal outlaw | mandatory required compulsory obligatory must / optional voluntary unnecessary |
rich wealthy affluent / poor penniless impoverished | win won winner victory victorious champion / lose lost loser defeated runner-up |
guilty convict convicted / innocent acquit acquitted cleared exonerated | common widespread abundant / rare extinct endangered scarce |
accept accepted agree agreed take / refuse refused reject rejected decline declined deny denied | increase rise grow raise raised gain
climb higher / decrease fall drop decline lower lowered reduce reduced shrink | former formerly retired ex previous defunct past / current
currently present active still now | amateur / professional | fictional fiction imaginary novel / real factual nonfiction documentary biography |
he him his himself man male men boy gentleman king prince father son brother husband uncle nephew grandfather actor mr / she her hers herself
woman female women girl lady queen princess mother daughter sister wife aunt niece grandmother actress mrs | adult grown / child kid
teenager infant baby boy girl | safe harmless harm-free nontoxic / dangerous harmful venomous poisonous toxic deadly lethal fatal unsafe |
public / private | wet rainy humid / dry arid | hot warm / cold cool | big large huge biggest largest / small little tiny smallest |
tall high taller higher / short low shorter lower | old older oldest elder ancient / young younger youngest new newest | early earlier /
late later | first / last final latest | light bright pale / dark dim black | healthy well fit / ill sick unwell | include included
includes / exclude excluded excludes | punctual / late delayed | buy bought acquire acquired purchase purchased buyer / sell sold seller |
hero protagonist / villain antagonist | comedy funny comic / tragedy tragic horror drama | shallow / deep | majority most / minority few |
solo alone / duo together joint | day / night | war battle / peace | pacifist / soldier
| hire hired recruit recruited employ employed / dismiss dismissed sacked redundant | borrow borrowed / return returned repay repaid |
arrive arrived arrival / depart departed departure | freeze frozen froze / melt melted thaw thawed | ascend ascended climb climbed /
descend descended | attend attended / miss missed skip skipped | succeed succeeded / fail failed | expand expanded widen widened /
shrink shrank shrunk narrow narrowed | demolish demolished tear destroyed / build built erect erected | optional / mandatory |
strengthen strengthened / weaken weakened | lend lent / borrow borrowed | trust trusted / distrust distrusted"""
"""Two sides a group: words of one side are alike, words of the other say the opposite."""

_CLASSES = """american british english french german spanish italian chinese japanese indian russian canadian australian mexican
brazilian irish scottish welsh greek swedish norwegian danish dutch polish turkish korean israeli egyptian
argentine portuguese african european asian austrian swiss belgian finnish czech hungarian romanian ukrainian
iranian iraqi pakistani thai vietnamese nigerian kenyan cuban colombian chilean peruvian | january february march
april may june july august september october november december | monday tuesday wednesday thursday friday saturday
sunday | red blue green yellow orange purple black white pink brown grey gray gold silver | north south east west
northern southern eastern western | film album song book novel play sitcom series opera musical band magazine
newspaper painting game videogame documentary poem podcast | comedy drama horror thriller romance western action
fantasy mystery documentary musical tragedy | rock pop jazz blues country folk metal punk rap hip-hop reggae
classical electronic soul disco | actor singer writer author director producer politician lawyer doctor
teacher scientist engineer painter dancer athlete footballer model journalist soldier musician rapper comedian chef
architect philosopher economist nurse pilot drummer guitarist bassist keyboardist | mother father brother sister
son daughter uncle aunt cousin nephew niece wife husband grandmother grandfather | spring summer autumn winter fall
| second minute hour day week month year decade century | first second third fourth fifth sixth seventh eighth
ninth tenth last | dog cat horse cow pig sheep goat bird fish snake lion tiger bear wolf rabbit mouse elephant
monkey whale | football basketball baseball hockey tennis golf cricket rugby swimming boxing volleyball | city town
village country state province county continent island | christian muslim jewish hindu buddhist catholic protestant
atheist | gold silver bronze copper iron steel | president king queen prime senator governor mayor minister |
breakfast lunch dinner supper | usd eur gbp dollar euro pound yen | physics chemistry biology mathematics history
geography philosophy economics psychology | guitar piano drums violin bass cello trumpet flute saxophone | gram
kilogram pound ounce meter metre kilometer kilometre mile foot inch liter litre gallon degree | university school
hospital church museum airport hotel restaurant theater theatre stadium library factory prison"""


_EXCLUSIVE = ("january", "monday", "red", "north", "northern", "spring", "first")
"""The first words of those classes of which two members are never alike, whatever WordNet says: it calls colours and
ordinals similar. Nationalities are not among them: what is English is British."""
_NAMED_TWICE = (
    frozenset({"grey", "gray"}),
    frozenset({"autumn", "fall"}),
    frozenset({"meter", "metr"}),
    frozenset({"liter", "litr"}),
)


@cache
def _exclusive() -> dict[str, frozenset[int]]:
    wanted = frozenset(number for number, group in enumerate(_groups(_CLASSES)) if group[0] in _EXCLUSIVE)
    return {word: numbers & wanted for word, numbers in classes().items() if numbers & wanted}


def excludes(one: str, other: str) -> bool:
    """Whether two stems are different members of a class like that of the months."""
    known = _exclusive()
    if one == other or known.get(one, frozenset()).isdisjoint(known.get(other, frozenset())):
        return False
    return frozenset({one, other}) not in _NAMED_TWICE and other not in synonyms().get(one, frozenset())


def _groups(text: str) -> list[list[str]]:
    return [line.split() for line in text.replace("\n", " ").split("|")]


@cache
def synonyms() -> dict[str, frozenset[str]]:
    """Stem -> the stems that may stand for it."""
    return _related(_SYNONYMS)


@cache
def alike() -> dict[str, frozenset[str]]:
    """Stem -> its synonyms and what stands on one side with it: "flop" and "failure"."""
    found = dict(synonyms())
    for sides in _sides():
        for side in sides:
            for word in side:
                found[word] = found.get(word, frozenset()) | (side - {word})
    return found


@cache
def antonyms() -> dict[str, frozenset[str]]:
    """Stem -> the stems that say the opposite."""
    found = _related(_ANTONYMS)
    for sides in _sides():
        for side, other in (sides, sides[::-1]):
            for word in side:
                found[word] = found.get(word, frozenset()) | other
    return found


@cache
def _sides() -> list[tuple[frozenset[str], frozenset[str]]]:
    from stanchion_guard.grounding.words import stem

    pairs = [group.split("/") for group in _SIDES.replace("\n", " ").split("|")]
    return [(frozenset(map(stem, a.split())), frozenset(map(stem, b.split()))) for a, b in pairs]


@cache
def classes() -> dict[str, frozenset[int]]:
    """Stem -> numbers of the word classes it belongs to; two members of one class exclude each other in one slot."""
    from stanchion_guard.grounding.words import stem

    found: dict[str, set[int]] = {}
    for number, group in enumerate(_groups(_CLASSES)):
        for word in group:
            found.setdefault(stem(word), set()).add(number)
    return {word: frozenset(numbers) for word, numbers in found.items()}


@cache
def class_words() -> tuple[tuple[str, ...], ...]:
    """The word classes as written, for making training pairs."""
    return tuple(tuple(group) for group in _groups(_CLASSES))


@cache
def antonym_words() -> tuple[tuple[str, str], ...]:
    """The opposites as written, both ways round, for making training pairs."""
    pairs = [(group[0], group[1]) for group in _groups(_ANTONYMS)]
    return (*pairs, *((second, first) for first, second in pairs))


def _related(text: str) -> dict[str, frozenset[str]]:
    from stanchion_guard.grounding.words import stem

    found: dict[str, set[str]] = {}
    for group in _groups(text):
        stems = {stem(word) for word in group}
        for word in stems:
            found.setdefault(word, set()).update(stems - {word})
    return {word: frozenset(others) for word, others in found.items()}
