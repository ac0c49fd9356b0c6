// Sharding: every member of a room on one of the room's servers, and on a change only those touched that have to be.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import http from 'node:http'
import { after, before, test } from 'node:test'
import { Wire, request } from './lib/raw.mjs'
import { Echo, Turnout, binary, until } from './lib/turnout.mjs'

let echoes
before(async () => { echoes = await Promise.all(Array.from({ length: 11 }, (_, i) => Echo.start(`s${i}`))) })
after(async () => { for (const echo of echoes) await echo.stop() })

const config = (count, shard, pool = '', more = '') => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { chat: { ${pool}drain: { over: 1s, code: 1012 }, servers: [ ${echoes.slice(0, count).map(e => e.address).join(', ')} ] } }
routes: [ { name: rooms, match: { path: "/rooms/{room}" }, pool: chat, shard: { ${shard} } } ]
${more}`

const api = (t, path) => new Promise((resolve, reject) => http.get({ socketPath: t.admin.slice(5), path, agent: false }, answer => {
  let text = ''
  answer.on('data', data => { text += data }).on('end', () => resolve({ status: answer.statusCode, ...JSON.parse(text) }))
}).on('error', reject))
const setOf = async (t, room) => (await api(t, `/api/v1/shards?route=rooms&key=${encodeURIComponent(room)}`)).servers.map(name => echoes.find(e => `chat/${e.address}` === name).name)

async function open (t, room, options = {}) {
  const wire = await Wire.connect(t.port)
  wire.send(request(`/rooms/${encodeURIComponent(room)}`, options))
  const head = await wire.head()
  assert.equal(head.status, 101, head.head)
  return Object.assign(wire, { room, server: head.fields['x-server'] })
}
async function fill (t, rooms, members) {
  const wires = []
  for (let room = 0; room < rooms; room++) wires.push(...await Promise.all(Array.from({ length: members }, () => open(t, `room-${room}`))))
  return wires
}
const closeCode = wire => { const at = wire.got.indexOf(Buffer.from([0x88])); return at >= 0 && wire.got.length >= at + 4 ? wire.got.readUInt16BE(at + 2) : null }
const isTold = wire => closeCode(wire) !== null || wire.ended !== null
const finish = async (t, wires) => { wires.forEach(wire => wire.close()); await t.stop() }

test('every room\'s members sit in its set, balanced inside it; larger sets for named rooms; explain and the API agree', async () => {
  const t = await Turnout.start(config(10, 'key: path.room, servers: 2, larger: [ { match: "vip-*", servers: 4 }, { match: "?", servers: 3 } ]'))
  const wires = []
  for (const [room, size] of [['lobby', 2], ['a b/c', 2], ['vip-1', 4], ['vip-', 4], ['x', 3], ['vip', 2]]) {
    const set = await setOf(t, room)
    assert.equal(set.length, size)
    assert.equal(new Set(set).size, size)
    const members = []
    for (let i = 0; i < 4 * size; i++) members.push(await open(t, room))
    for (const wire of members) assert.ok(set.includes(wire.server), `${room}: ${wire.server} is none of ${set}`)
    if (!wires.length) for (const name of set) assert.equal(members.filter(wire => wire.server === name).length, 4)
    wires.push(...members)
    const said = spawnSync(binary, ['explain', t.file, `ws://127.0.0.1:${t.port}/rooms/${encodeURIComponent(room)}`], { encoding: 'utf8' }).stdout
    const addresses = set.map(name => `chat/${echoes.find(e => e.name === name).address}`)
    assert.ok(said.includes(`set        of ${size}: ${addresses.join(', ')}`), said)
    const seen = t.json('connections').connections.at(-1)
    const { choice } = await api(t, `/api/v1/connections/${seen.connection}`)
    assert.deepEqual(choice.shard, { hash: (await api(t, `/api/v1/shards?route=rooms&key=${encodeURIComponent(room)}`)).hash, servers: size })
    assert.ok(said.includes(`shard      path.room: "${room}"`), said)
  }
  await finish(t, wires)
})
test('10 servers become 11: of 10,000 rooms with sets of two about 2/11 change, each to include the new one, and by the binary that serves', async () => {
  const rooms = 10000
  const t = await Turnout.start(config(10, 'key: path.room, servers: 2'))
  const agent = new http.Agent({ keepAlive: true, maxSockets: 16 })
  const ask = room => new Promise((resolve, reject) => http.get({ socketPath: t.admin.slice(5), path: `/api/v1/shards?route=rooms&key=room-${room}`, agent }, answer => {
    let text = ''
    answer.on('data', data => { text += data }).on('end', () => resolve(JSON.parse(text).servers))
  }).on('error', reject))
  const all = async () => {
    const sets = []
    for (let from = 0; from < rooms; from += 500) sets.push(...await Promise.all(Array.from({ length: 500 }, (_, i) => ask(from + i))))
    return sets
  }
  const before = await all()
  t.write(config(11, 'key: path.room, servers: 2'))
  assert.equal(t.command('reload').code, 0)
  const now = await all()
  const changed = now.filter((set, i) => !set.every(name => before[i].includes(name)))
  assert.ok(changed.length > rooms * (2 / 11 - 0.02) && changed.length < rooms * (2 / 11 + 0.05), `${changed.length}`)
  for (const set of changed) assert.ok(set.includes(`chat/${echoes[10].address}`))
  agent.destroy()
  await t.stop()
})
test('with a hashing balancer the same user of a room has the same server of the set', async () => {
  const t = await Turnout.start(config(10, 'key: path.room, servers: 3', 'balance: rendezvous, hash: cookie.uid, '))
  const wires = []
  const seen = new Set()
  for (let user = 0; user < 20; user++) {
    const two = [await open(t, 'lobby', { extra: `Cookie: uid=${user}\r\n` }), await open(t, 'lobby', { extra: `Cookie: uid=${user}\r\n` })]
    assert.equal(two[0].server, two[1].server)
    seen.add(two[0].server)
    wires.push(...two)
  }
  assert.deepEqual([...seen].sort(), (await setOf(t, 'lobby')).sort())
  await finish(t, wires)
})
test('who has no key goes anywhere', async () => {
  const t = await Turnout.start(config(10, 'key: cookie.team, servers: 1'))
  const wires = []
  for (let i = 0; i < 20; i++) wires.push(await open(t, 'x'))
  assert.equal(new Set(wires.map(wire => wire.server)).size, 10)
  const team = []
  for (let i = 0; i < 5; i++) team.push(await open(t, 'x', { extra: 'Cookie: team=red\r\n' }))
  assert.equal(new Set(team.map(wire => wire.server)).size, 1)
  await finish(t, [...wires, ...team])
})
test('on_move: leave: 10 servers become 11: only rooms change that the new one joins, and no tunnel is touched', async () => {
  const t = await Turnout.start(config(10, 'key: path.room, servers: 2'))
  const wires = await fill(t, 120, 2)
  const before = new Map()
  for (let room = 0; room < 120; room++) before.set(`room-${room}`, await setOf(t, `room-${room}`))
  for (const wire of wires) assert.ok(before.get(wire.room).includes(wire.server))
  t.write(config(11, 'key: path.room, servers: 2'))
  assert.equal(t.command('reload').code, 0)
  let changed = 0
  for (const [room, set] of before) {
    const now = await setOf(t, room)
    const left = set.filter(name => !now.includes(name))
    if (left.length) { changed++; assert.ok(now.includes('s10')); assert.equal(left.length, 1) } else assert.deepEqual(now, set)
    const late = await open(t, room)
    assert.ok(now.includes(late.server))
    late.close()
  }
  assert.ok(changed >= 5 && changed <= 50, `${changed} of 120`) // 2/11 are 22
  for (const wire of wires) assert.ok(!isTold(wire))
  await until(() => t.counters().tunnels === wires.length)
  await finish(t, wires)
})
test('on_move: drain: 10 servers become 11: just the tunnels whose server left their set are closed, with 1012, over the pool\'s time', async () => {
  const shard = 'key: path.room, servers: 2, on_move: drain'
  const t = await Turnout.start(config(10, shard))
  const wires = await fill(t, 120, 2)
  t.write(config(11, shard))
  assert.equal(t.command('reload').code, 0)
  const doomed = []
  for (const wire of wires) if (!(await setOf(t, wire.room)).includes(wire.server)) doomed.push(wire)
  assert.ok(doomed.length > 5 && doomed.length < 60, `${doomed.length}`)
  await until(() => doomed.every(isTold), 'those that moved are told', 15000)
  for (const wire of doomed) assert.equal(closeCode(wire), 1012)
  doomed.forEach(wire => wire.close())
  await until(() => t.counters().tunnels === wires.length - doomed.length)
  for (const wire of wires) assert.equal(isTold(wire), doomed.includes(wire))
  const ends = () => t.events.filter(e => e.event === 'close')
  await until(() => ends().length >= doomed.length, 'their ends in the log')
  assert.ok(ends().every(e => e.reason === 'MOVED'), JSON.stringify(ends()[0]))
  for (const wire of doomed) {
    const again = await open(t, wire.room)
    assert.ok((await setOf(t, wire.room)).includes(again.server))
    again.close()
  }
  await finish(t, wires)
})
test('on_move: drain: a server that is put down loses its tunnels, and has its rooms again when it is up; nobody else moves', async () => {
  const t = await Turnout.start(config(5, 'key: path.room, servers: 1, on_move: drain'))
  const patch = state => new Promise((resolve, reject) => {
    const body = JSON.stringify({ state })
    http.request({ socketPath: t.admin.slice(5), path: `/api/v1/pools/chat/servers/${echoes[2].address}`, method: 'PATCH', headers: { 'Content-Length': body.length } }, answer => { answer.resume(); resolve(answer.statusCode) }).on('error', reject).end(body)
  })
  const wires = await fill(t, 40, 1)
  const theirs = wires.filter(wire => wire.server === 's2')
  assert.ok(theirs.length > 0)
  assert.equal(await patch('down'), 200)
  await until(() => theirs.every(isTold), 'those of the server that is down', 15000)
  const moved = []
  for (const wire of theirs) { wire.close(); moved.push(await open(t, wire.room)) }
  assert.ok(moved.every(wire => wire.server !== 's2'))
  assert.equal(await patch('up'), 200)
  await until(() => moved.every(isTold), 'rooms go home', 15000)
  moved.forEach(wire => wire.close())
  for (const wire of wires.filter(wire => wire.server !== 's2')) assert.ok(!isTold(wire))
  for (const wire of theirs) { const again = await open(t, wire.room); assert.equal(again.server, 's2'); again.close() }
  await finish(t, wires)
})
test('a set of which all are down is another set, until they are back', async () => {
  const t = await Turnout.start(config(6, 'key: path.room, servers: 2'))
  const set = await setOf(t, 'lobby')
  for (const name of set) assert.equal(t.command('remove', `chat/${echoes.find(e => e.name === name).address}`).code, 0)
  const wire = await open(t, 'lobby')
  assert.ok(!set.includes(wire.server))
  assert.ok((await setOf(t, 'lobby')).includes(wire.server))
  for (const name of set) assert.equal(t.command('add', `chat/${echoes.find(e => e.name === name).address}`).code, 0)
  assert.deepEqual(await setOf(t, 'lobby'), set)
  await finish(t, [wire])
})
test('what is asked wrongly of /api/v1/shards has words', async () => {
  const t = await Turnout.start(t => config(2, 'key: path.room')(t).replace('routes: [', 'routes: [ { name: other, match: { prefix: /other }, pool: chat },'))
  for (const [query, status, words] of [['', 400, 'which route is meant'], ['?route=rooms', 400, 'which key is meant'],
    ['?route=none&key=a', 404, 'there is no route "none"'], ['?route=other&key=a', 409, 'route "other" is not sharded: its connections go to any server']]) {
    const said = await api(t, '/api/v1/shards' + query)
    assert.deepEqual([said.status, said.error], [status, words])
    assert.ok(said.what_to_do)
  }
  await t.stop()
})
for (const [shard, words] of [['key: path.rooms', /path has no \{rooms\}/], ['key: room', /names nothing of a request/], ['key: jwt.sub', /asks for no token/],
  ['servers: 2', /"key" is missing/], ['key: path.room, servers: 65', /servers/], ['key: path.room, larger: [ { match: "a", servers: 2 } ]', /no more than the 2/]]) {
  test(`shard: { ${shard} } is refused, with words`, async () => {
    const t = await Turnout.start(config(2, 'key: path.room'))
    t.write(config(2, shard))
    const said = spawnSync(binary, ['check', t.file], { encoding: 'utf8' })
    assert.equal(said.status, 1)
    assert.match(said.stderr, words)
    await t.stop()
  })
}
