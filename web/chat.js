// The chat page. It speaks chat.v1 (docs/protocol.md) with the server that it came from, and nothing else.
//
// What people say is only ever set as textContent: it is never taken for markup.
//
// Nothing is lost or doubled when the connection breaks: each room keeps how far it has been seen, and joins
// again from there; what was said and not acknowledged is said again, under a name (`once`) by which the
// server knows it. A message of a room is known by its epoch and number, so it is shown once.

const firstHistory = 50;
const shownAtMost = 2000; // messages kept on the page for a room
const pingEvery = 25_000;
const pongWithin = 10_000;
const longestPause = 30_000;
// Coming back after these would only fail again.
const hopeless = (code) => [1002, 1003, 1007, 1009].includes(code) || (code >= 4500 && code < 5000);

const element = (id) => document.getElementById(id);

function make(tag, text, ...classes) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  made.classList.add(...classes.filter(Boolean));
  return made;
}

const memory = {
  read(key) { try { return localStorage.getItem(key); } catch { return null; } },
  write(key, value) { try { localStorage.setItem(key, value); } catch { /* private browsing: then not */ } },
};

const lower = (name) => name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
const hue = (nick) => `hue-${[...lower(nick)].reduce((sum, c) => (sum * 31 + c.codePointAt(0)) % 9973, 7) % 8}`;
const unique = () => [...crypto.getRandomValues(new Uint8Array(16))].map((b) => b.toString(16).padStart(2, '0')).join('');

// --- What there is -----------------------------------------------------------------------------------------

// A room, or a person that one talks to alone. Its messages are list items, in order; those that wait to be
// acknowledged are the last.
class Place {
  constructor(kind, name) {
    this.kind = kind;
    this.name = name;
    this.items = [];
    this.waiting = [];
    this.unread = 0;
    this.members = new Map();
    this.topic = '';
    this.epoch = null;
    this.seen = 0; // everything up to here has been shown
    this.ahead = new Set(); // own messages that were acknowledged before all that came before them had come
    this.joined = false;
    this.count = 0;
    this.wholeHistory = false;
    this.entry = make('button');
    this.entry.addEventListener('click', () => show(this));
  }

  get key() { return `${this.kind}:${lower(this.name)}`; }
  get title() { return this.kind === 'room' ? `#${this.name}` : this.name; }

  has(seq) { return this.items.some((item) => item.seq === seq && item.epoch === this.epoch); }

  see(seq) {
    this.seen = Math.max(this.seen, seq);
    while (this.ahead.delete(this.seen + 1)) this.seen += 1;
  }

  // Puts a list item where its number belongs; without one it is the newest.
  add(line, seq) {
    const item = { line, seq: seq ?? null, epoch: this.epoch };
    let at = this.items.length;
    if (item.seq !== null) {
      while (at > 0 && this.items[at - 1].epoch === this.epoch && this.items[at - 1].seq !== null
             && this.items[at - 1].seq > seq) at -= 1;
      if (at === 0 && this.items.length > 0 && this.items[0].seq === null) at = this.firstNumbered(seq);
    }
    this.items.splice(at, 0, item);
    if (this.items.length > shownAtMost) this.items.shift().line.remove();
    return item;
  }

  firstNumbered(seq) {
    const index = this.items.findIndex((item) => item.seq !== null && item.seq > seq);
    return index < 0 ? this.items.length : index;
  }
}

const places = new Map();
let current = null;
let nick = '';
let wantedNick = memory.read('nick') ?? '';
const answers = new Map(); // by id of the request
let socket = null;
let online = false;
let lastId = 0;
let pause = 500;
let pingTimer = 0;
let pongTimer = 0;
let retryTimer = 0;
let claimTimer = 0;

function place(kind, name) {
  const key = `${kind}:${lower(name)}`;
  if (!places.has(key)) {
    places.set(key, new Place(kind, name));
    drawPlaces();
  }
  return places.get(key);
}

const room = (name) => places.get(`room:${lower(name)}`);

function rememberRooms() {
  memory.write('rooms', JSON.stringify([...places.values()].filter((p) => p.kind === 'room').map((p) => p.name)));
}

// --- The connection ----------------------------------------------------------------------------------------

function connect() {
  clearTimeout(retryTimer);
  say('connecting …', false);
  const url = new URL('/ws', location.href);
  url.protocol = url.protocol === 'https:' ? 'wss:' : 'ws:';
  const opened = new WebSocket(url, 'chat.v1');
  socket = opened;
  opened.addEventListener('message', (event) => {
    if (opened !== socket) return;
    clearTimeout(pongTimer);
    hear(JSON.parse(event.data));
  });
  opened.addEventListener('close', (event) => { if (opened === socket) lost(event.code); });
}

function say(text, isOnline) {
  element('state').textContent = text;
  element('state').classList.toggle('online', isOnline);
  online = isOnline;
}

function lost(code) {
  socket = null;
  answers.clear();
  clearInterval(pingTimer);
  clearTimeout(pongTimer);
  clearTimeout(claimTimer);
  for (const each of places.values()) each.joined = false;
  if (hopeless(code)) return say('The server does not understand this page. Reload it.', false);
  const wait = Math.round(pause * (0.5 + Math.random()));
  pause = Math.min(pause * 2, longestPause);
  say(wait < 2000 ? 'offline, connecting again …' : `offline, next try in ${Math.round(wait / 1000)} s`, false);
  retryTimer = setTimeout(connect, wait);
}

// The network may be back, or this page may have slept.
for (const event of ['online', 'focus']) {
  addEventListener(event, () => {
    if (socket === null && !element('state').textContent.startsWith('The server')) connect();
  });
}

// Asks for something; `then` gets the answer. What the connection takes with it is not answered.
function ask(request, then) {
  if (socket === null || socket.readyState !== WebSocket.OPEN) return;
  lastId += 1;
  const id = String(lastId);
  if (then) answers.set(id, then);
  socket.send(JSON.stringify({ ...request, id }));
}

function ping() {
  ask({ type: 'ping' });
  clearTimeout(pongTimer);
  pongTimer = setTimeout(() => {
    const silent = socket;
    socket = null; // what it still says is of no interest
    silent?.close();
    lost(0);
  }, pongWithin);
}

function welcome(message) {
  pause = 500;
  setNick(message.nick);
  say('connected', true);
  pingTimer = setInterval(ping, pingEvery);
  element('text').maxLength = message.max_text;
  if (wantedNick) claimNick();
  for (const each of places.values()) if (each.kind === 'room') join(each);
  for (const each of places.values()) if (each.kind === 'nick') each.waiting.forEach(send);
}

// A connection of one's own that is not gone yet may still have the nick.
function claimNick() {
  clearTimeout(claimTimer);
  const wanted = wantedNick;
  ask({ type: 'nick', nick: wanted }, (answer) => {
    if (answer.type === 'you') return setNick(answer.nick);
    if (answer.code !== 'nick_taken') return note(answer.text);
    if (nick.startsWith('guest-')) ask({ type: 'nick', nick: `${wanted.slice(0, 28)}-${lastId}` }, (second) => { if (second.type === 'you') setNick(second.nick); });
    claimTimer = setTimeout(claimNick, 15_000);
  });
}

// Others are told of a new nick; who has it is answered.
function setNick(name) {
  for (const each of places.values()) {
    if (each.members.delete(lower(nick))) each.members.set(lower(name), name);
  }
  nick = name;
  drawMembers();
  if (document.activeElement !== element('nick')) element('nick').value = name;
}

function join(where) {
  const from = where.epoch === null ? {} : { epoch: where.epoch, seq: where.seen };
  ask({ type: 'join', room: where.name, ...from }, (answer) => {
    if (answer.type === 'error') {
      note(answer.text);
      if (!where.epoch) forget(where);
      return;
    }
    const known = where.epoch !== null;
    if (known && answer.resume === 'new_epoch') {
      event(where, 'this room begins anew: the server was started again, or had forgotten it', 'warning');
      where.seen = 0;
      where.ahead.clear();
    }
    where.epoch = answer.epoch;
    where.name = answer.room;
    where.topic = answer.topic;
    where.count = answer.members;
    where.joined = true;
    if (answer.gap) {
      const lostMessages = answer.gap.to - answer.gap.from + 1;
      event(where, `${lostMessages} ${lostMessages === 1 ? 'message is' : 'messages are'} lost here`, 'warning');
    }
    for (const message of answer.messages ?? []) hearSaid(message);
    where.see(answer.seq);
    where.waiting.forEach(send);
    ask({ type: 'who', room: where.name }, (roll) => {
      if (roll.type !== 'who') return;
      where.members = new Map(roll.nicks.map((each) => [lower(each), each]));
      where.count = roll.members;
      drawMembers();
    });
    if (!known) readHistory(where, firstHistory);
    drawPlaces();
    drawHead();
    rememberRooms();
  });
}

// Shows what was said before, above all that is there.
function readHistory(where, count) {
  ask({ type: 'history', room: where.name, count }, (answer) => {
    if (answer.type !== 'history' || answer.epoch !== where.epoch) return;
    where.wholeHistory = answer.messages.length < count;
    const log = element('log');
    const fromBottom = log.scrollHeight - log.scrollTop;
    for (const message of answer.messages) if (!where.has(message.seq)) where.add(messageLine(message), message.seq);
    if (where !== current) return;
    drawMessages(false);
    log.scrollTo({ top: log.scrollHeight - fromBottom, behavior: 'instant' });
  });
}

// --- What is heard -----------------------------------------------------------------------------------------

const heard = {
  welcome,
  said: hearSaid,
  emote: hearSaid,
  topic: hearSaid,
  told(message) {
    const with_ = place('nick', message.nick);
    append(with_, messageLine({ ...message, type: 'said' }), null, true);
  },
  joined(message) { came(message, 'joined'); },
  parted(message) {
    const where = room(message.room);
    if (!where) return;
    where.members.delete(lower(message.nick));
    where.count -= 1;
    const why = { lost: ' (connection lost)', idle: ' (idle)', too_slow: ' (too slow)' }[message.reason] ?? '';
    event(where, `${message.nick} left${why}`);
    if (where === current) drawMembers();
    if (lower(message.nick) === lower(wantedNick) && nick !== wantedNick) claimNick();
  },
  renamed(message) {
    const where = room(message.room);
    if (!where) return;
    where.members.delete(lower(message.nick));
    where.members.set(lower(message.to), message.to);
    event(where, `${message.nick} is now ${message.to}`);
    if (where === current) drawMembers();
  },
  missed(message) {
    const where = room(message.room);
    if (where) event(where, message.count === 0 ? 'some who came and went were missed' : `${message.count} messages were missed: the server fell behind`, 'warning');
  },
  missed_tells(message) { note(`${message.count} private messages were missed: the server fell behind`); },
  bye(message) { if (message.reason === 'going_down') pause = 2000; },
  error(message) { note(message.text); },
};

function hear(message) {
  const then = answers.get(message.re);
  if (then) {
    answers.delete(message.re);
    then(message);
  } else {
    heard[message.type]?.(message);
  }
}

function came(message) {
  const where = room(message.room);
  if (!where) return;
  where.members.set(lower(message.nick), message.nick);
  where.count += 1;
  event(where, `${message.nick} joined`);
  if (where === current) drawMembers();
}

function hearSaid(message) {
  const where = room(message.room);
  if (!where || message.epoch !== where.epoch || where.has(message.seq)) return;
  if (message.type === 'topic') {
    where.topic = message.text;
    if (where === current) drawHead();
  }
  append(where, messageLine(message), message.seq, true);
  where.see(message.seq);
}

// --- What is said ------------------------------------------------------------------------------------------

// A message is shown as waiting until the server has it, over as many connections as that takes.
function speak(where, type, text) {
  const message = { type, text, once: unique(), place: where };
  const line = messageLine({ type: type === 'say' || type === 'tell' ? 'said' : type, nick, text });
  line.classList.add('waiting');
  message.line = line;
  where.waiting.push(message);
  if (where === current) {
    element('messages').append(line);
    scrollDown();
  }
  if (online && (where.kind === 'nick' || where.joined)) send(message);
}

function send(message) {
  const where = message.place;
  const to = where.kind === 'room' ? { room: where.name, once: message.once } : { nick: where.name };
  ask({ type: message.type, text: message.text, ...to }, (answer) => {
    where.waiting = where.waiting.filter((each) => each !== message);
    message.line.remove();
    if (answer.type === 'error') return event(where, `not sent: ${message.text} (${answer.text})`, 'warning');
    message.line.classList.remove('waiting');
    if (answer.seq === undefined) return append(where, message.line, null, false);
    if (answer.epoch !== where.epoch || where.has(answer.seq)) return undefined;
    append(where, message.line, answer.seq, false);
    where.ahead.add(answer.seq);
    where.see(where.seen);
    if (message.type === 'topic') {
      where.topic = message.text;
      drawHead();
    }
    return undefined;
  });
}

const help = 'commands: /nick NAME, /join ROOM, /part, /msg NICK TEXT, /me TEXT, /topic TEXT, /rooms; //TEXT says /TEXT';

const commands = {
  nick(rest) { rename(rest); },
  join(rest) { enter(rest); },
  part() { leave(); },
  msg(rest) {
    const [who, ...words] = rest.split(' ');
    if (words.length === 0) return note('whom, and what? /msg NICK TEXT');
    const with_ = place('nick', who);
    show(with_);
    return speak(with_, 'tell', words.join(' '));
  },
  me(rest) { if (current.kind === 'room') speak(current, 'emote', rest); },
  topic(rest) { if (current.kind === 'room') speak(current, 'topic', rest); },
  rooms() {
    ask({ type: 'rooms' }, (answer) => event(current, `rooms: ${answer.rooms.map((each) => `${each.room} (${each.members})`).join(', ')}`));
  },
  help() { event(current, help); },
};

element('say').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  const text = element('text').value;
  if (text.trim() === '' || current === null) return;
  element('text').value = '';
  note('');
  if (!text.startsWith('/') || text.startsWith('//')) {
    speak(current, current.kind === 'room' ? 'say' : 'tell', text.startsWith('//') ? text.slice(1) : text);
    return;
  }
  const [name, ...rest] = text.slice(1).split(' ');
  const command = Object.hasOwn(commands, name) ? commands[name] : null;
  if (command) command(rest.join(' ').trim());
  else note(`there is no /${name}: ${help}`);
});

function enter(name) {
  const plain = name.trim().replace(/^#/, '');
  if (plain === '') return;
  const where = place('room', plain);
  if (online && !where.joined) join(where);
  show(where);
}

function leave() {
  if (current === null) return;
  if (current.kind === 'room') ask({ type: 'part', room: current.name });
  forget(current);
}

function forget(where) {
  places.delete(where.key);
  rememberRooms();
  if (where === current) show([...places.values()].at(-1) ?? null);
  drawPlaces();
}

function rename(name) {
  wantedNick = name.trim();
  memory.write('nick', wantedNick);
  if (wantedNick === '') return setNick(nick);
  return ask({ type: 'nick', nick: wantedNick }, (answer) => {
    if (answer.type === 'you') return setNick(answer.nick);
    wantedNick = nick;
    memory.write('nick', nick);
    setNick(nick);
    return note(answer.text);
  });
}

element('join').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  enter(element('join-name').value);
  element('join-name').value = '';
});
element('rename').addEventListener('submit', (submitted) => {
  submitted.preventDefault();
  rename(element('nick').value);
  element('text').focus();
});
element('part').addEventListener('click', leave);

// --- What is seen ------------------------------------------------------------------------------------------

const clock = new Intl.DateTimeFormat(undefined, { hour: '2-digit', minute: '2-digit' });

function messageLine(message) {
  const line = make('li');
  const when = new Date(message.at ?? Date.now());
  const time = make('time', clock.format(when));
  time.dateTime = when.toISOString();
  time.title = when.toLocaleString();
  const who = make('span', message.nick, 'who', hue(message.nick));
  if (lower(message.nick) === lower(nick)) line.classList.add('own');
  if (message.type === 'said') {
    line.append(who, ' ', make('span', message.text));
  } else if (message.type === 'emote') {
    line.classList.add('emote');
    line.append(who, ' ', make('span', message.text));
  } else {
    line.classList.add('event');
    line.textContent = `${message.nick} set the topic: ${message.text}`;
  }
  line.append(' ', time);
  return line;
}

function event(where, text, kind = 'event') {
  if (where) append(where, make('li', text, kind), null, false);
}

// Adds a line to a place, and marks it unread if it is news that nobody can see.
function append(where, line, seq, isNews) {
  const unseen = isNews && (where !== current || document.hidden);
  if (unseen && where.unread === 0) {
    where.mark?.remove();
    where.mark = make('li', 'new', 'unread-from');
    where.add(where.mark, null);
  }
  where.add(line, seq);
  if (unseen) {
    where.unread += 1;
    drawPlaces();
  }
  if (where === current) drawMessages(isAtBottom());
}

const isAtBottom = () => {
  const log = element('log');
  return log.scrollHeight - log.scrollTop - log.clientHeight < 60;
};

function scrollDown() {
  const log = element('log');
  log.scrollTo({ top: log.scrollHeight, behavior: 'instant' });
}

// Brings the list in line with the place: lines that are there already stay, so that a screen reader reads
// the new ones only.
function drawMessages(toBottom) {
  const list = element('messages');
  const lines = current === null ? [] : [...current.items.map((item) => item.line), ...current.waiting.map((each) => each.line)];
  const wanted = new Set(lines);
  for (const child of [...list.children]) if (!wanted.has(child)) child.remove();
  lines.forEach((line, index) => { if (list.children[index] !== line) list.insertBefore(line, list.children[index] ?? null); });
  if (toBottom) scrollDown();
}

function drawHead() {
  element('title').textContent = current?.title ?? 'Nowhere';
  element('topic').textContent = current?.kind === 'nick' ? 'private' : current?.topic ?? 'join a room';
  element('part').textContent = current?.kind === 'nick' ? 'Close' : 'Leave';
  element('part').hidden = current === null;
  element('text').placeholder = current === null ? '' : `to ${current.title}`;
  drawMembers();
}

function drawMembers() {
  const here = current?.kind === 'room';
  element('show-members').hidden = !here;
  element('members').hidden = !here;
  if (!here) return;
  element('show-members').textContent = `${current.count} here`;
  element('nicks').replaceChildren(...[...current.members.values()].sort((a, b) => a.localeCompare(b)).map((each) => {
    const item = make('li');
    const button = make('button', each, hue(each));
    button.title = `talk to ${each} alone`;
    button.addEventListener('click', () => show(place('nick', each)));
    item.append(button);
    return item;
  }));
}

function drawPlaces() {
  for (const [kind, list] of [['room', 'rooms'], ['nick', 'people']]) {
    element(list).replaceChildren(...[...places.values()].filter((each) => each.kind === kind).map((each) => {
      const item = make('li');
      each.entry.replaceChildren(make('span', each.title));
      if (each.unread > 0) {
        const count = make('span', String(each.unread), 'count');
        count.setAttribute('aria-label', `${each.unread} unread`);
        each.entry.append(count);
      }
      each.entry.classList.toggle('unread', each.unread > 0);
      each.entry.setAttribute('aria-current', String(each === current));
      item.append(each.entry);
      return item;
    }));
  }
  element('people-title').hidden = ![...places.values()].some((each) => each.kind === 'nick');
  const unread = [...places.values()].reduce((sum, each) => sum + each.unread, 0);
  element('unread-elsewhere').textContent = unread > 0 ? String(unread) : '';
  document.title = `${unread > 0 ? `(${unread}) ` : ''}${current?.title ?? ''} – confab`;
}

function show(where) {
  if (current !== null && current !== where) {
    current.mark?.remove();
    current.items = current.items.filter((item) => item.line !== current.mark);
  }
  current = where;
  if (where !== null) where.unread = 0;
  if (where?.kind === 'room') history.replaceState(null, '', `#${encodeURIComponent(where.name)}`);
  uncover('places', 'show-places', false);
  drawPlaces();
  drawHead();
  drawMessages(true);
  if (matchMedia('(pointer: fine)').matches) element('text').focus();
}

function note(text) {
  element('note').textContent = text;
  element('note').hidden = text === '';
}

function uncover(panel, button, on = !element(panel).classList.contains('shown')) {
  element(panel).classList.toggle('shown', on);
  element(button).setAttribute('aria-expanded', String(on));
}

element('show-places').addEventListener('click', () => uncover('places', 'show-places'));
element('show-members').addEventListener('click', () => uncover('members', 'show-members'));
document.querySelector('main').addEventListener('click', (clicked) => {
  if (clicked.target.closest('#show-places, #show-members')) return;
  uncover('places', 'show-places', false);
  if (matchMedia('(max-width: 45rem)').matches) uncover('members', 'show-members', false);
});

element('log').addEventListener('scroll', () => {
  if (element('log').scrollTop > 40 || current?.kind !== 'room' || current.wholeHistory || !current.joined) return;
  current.wholeHistory = true; // until the answer says otherwise
  readHistory(current, current.items.filter((item) => item.seq !== null).length + firstHistory);
});

document.addEventListener('visibilitychange', () => {
  if (document.hidden || current === null) return;
  current.unread = 0;
  drawPlaces();
});

addEventListener('keydown', (pressed) => {
  if (pressed.key === 'Escape') {
    uncover('places', 'show-places', false);
    uncover('members', 'show-members', false);
    element('text').focus();
  }
  if (!pressed.altKey || !['ArrowUp', 'ArrowDown'].includes(pressed.key)) return;
  pressed.preventDefault();
  const all = [...places.values()].sort((a, b) => (a.kind === b.kind ? 0 : a.kind === 'room' ? -1 : 1));
  const step = pressed.key === 'ArrowDown' ? 1 : -1;
  if (all.length > 0) show(all[(all.indexOf(current) + step + all.length) % all.length]);
});

// --- The beginning -----------------------------------------------------------------------------------------

const asked = decodeURIComponent(location.hash.slice(1));
let remembered = [];
try { remembered = JSON.parse(memory.read('rooms') ?? '[]').filter((name) => typeof name === 'string'); } catch { /* begin afresh */ }
for (const name of remembered.length > 0 || asked ? remembered : ['lobby']) place('room', name);
if (asked) place('room', asked);
show(asked ? room(asked) : [...places.values()][0]);
if (matchMedia('(min-width: 60rem)').matches) uncover('members', 'show-members', true);
connect();
