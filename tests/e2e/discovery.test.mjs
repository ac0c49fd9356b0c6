// Servers that are found: by name, from a name server that speaks real DNS, and in a file. Whatever either says, tunnels
// that stand are not touched, and a pool that had servers is never left without.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { appendFileSync, mkdirSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import path from 'node:path'
import { test } from 'node:test'
import { Dns } from './lib/dns.mjs'
import { Wire, frame, plain, switching, tunnel } from './lib/raw.mjs'
import { Echo, Turnout, binary, freePort, until } from './lib/turnout.mjs'

// One port on several loopback addresses, as the addresses of a name are.
async function echoes (...hosts) {
  const port = await freePort()
  const all = {}
  for (const host of hosts) all[host] = await EchoAt.start(host, port)
  return { port, all, at: host => all[host], stop: () => Promise.all(Object.values(all).map(e => e.stop())) }
}
// Short masked frames, whole, come back unmasked.
function echo (socket, frames) {
  while (frames.length) {
    const end = 6 + (frames[1] & 127)
    const [mask, payload] = [frames.subarray(2, 6), frames.subarray(6, end)]
    socket.write(frame(payload.map((b, i) => b ^ mask[i % 4]), { opcode: frames[0] & 15, masked: false }))
    frames = frames.subarray(end)
  }
}
// A server by hand: answers each handshake, says its own address first, and echoes bytes afterwards.
class EchoAt {
  static async start (host, port) {
    const e = new EchoAt()
    e.host = host
    e.address = net.isIPv6(host) ? `[${host}]:${port}` : `${host}:${port}`
    e.sockets = new Set()
    e.server = net.createServer(socket => {
      e.sockets.add(socket)
      socket.on('close', () => e.sockets.delete(socket)).on('error', () => {})
      let head = ''
      socket.on('data', data => {
        if (head === null) return
        head += data.toString('latin1')
        if (!head.includes('\r\n\r\n')) return
        const isHandshake = /upgrade: websocket/i.test(head)
        head = isHandshake ? null : ''
        if (!isHandshake) { socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${host.length}\r\n\r\n${host}`); return }
        socket.write(switching())
        socket.on('data', more => echo(socket, more))
      })
    })
    await new Promise((resolve, reject) => e.server.listen(port, host, resolve).on('error', reject))
    return e
  }

  async stop () {
    for (const socket of this.sockets) socket.destroy()
    await new Promise(resolve => this.server.close(resolve))
  }
}

const byName = (dns, port, more = '') => t => `resolver: ${dns.address}
listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { servers: { dns: "chat.test:${port}" }, balance: round_robin${more} } }
`
const members = t => t.json('servers').servers.map(s => s.address).sort()
const found = t => t.status().discovery[0]
const becomes = (t, wanted) => until(() => JSON.stringify(members(t)) === JSON.stringify([...wanted].sort()), `servers ${wanted}`, 30000)
  .catch(error => { throw new Error(`${error.message}, but ${members(t)}; ${JSON.stringify(t.status().discovery)}`) })
// { status, fields, body } of a plain request on a connection of its own.
async function ask (t, path = '/') {
  const wire = await Wire.connect(t.port)
  wire.send(plain(path))
  const head = await wire.head()
  const body = (await wire.take(Number(head.fields['content-length'] ?? 0))).toString()
  wire.close()
  return { ...head, body }
}
// A tunnel that goes on while something else happens.
async function talking (t) {
  const wire = await tunnel(t.port)
  let count = 0
  wire.check = async () => { const word = `still ${count++};`; wire.send(frame(word)); await wire.until(word) }
  await wire.check()
  return wire
}

test('the addresses of a name are its servers, A and AAAA, whatever their order; asked again when the TTL ends and not before', async () => {
  const servers = await echoes('127.0.0.2', '127.0.0.3', '::1')
  const dns = await Dns.start({ 'chat.test': { A: ['127.0.0.3', '127.0.0.2'], AAAA: ['::1'], ttl: 2 } })
  const t = await Turnout.start(byName(dns, servers.port))
  await becomes(t, [`127.0.0.2:${servers.port}`, `127.0.0.3:${servers.port}`, `[::1]:${servers.port}`])
  const wire = await talking(t)
  dns.answers['chat.test'] = { A: ['127.0.0.2', '127.0.0.3'], AAAA: ['::1'], ttl: 2 }
  await dns.again('chat.test', 3)
  const times = dns.asked.filter(q => q.type === 'A').map(q => q.at)
  for (let i = 1; i < times.length; i++) assert.ok(times[i] - times[i - 1] >= 1950, `asked again after ${times[i] - times[i - 1]} ms`)
  assert.equal(t.events.filter(e => e.event === 'servers').length, 1) // the order means nothing
  const state = found(t)
  assert.equal(state.by, 'dns')
  assert.equal(state.what, `chat.test:${servers.port}`)
  assert.equal(state.servers, 3)
  assert.equal(state.error, null)
  assert.ok(state.found && state.next_usec <= 2200000)
  await until(() => /pool main: 3 servers, by dns chat\.test:\d+, again in \d/.test(t.command('status').out), 'status says when it is asked again') // not while it is
  await wire.check()
  wire.close()
  await t.stop(); await dns.stop(); await servers.stop()
})
test('new addresses serve at once; one that is gone twice is gone; tunnels stay, or end as on_removed says', async () => {
  for (const onRemoved of ['keep', 'close']) {
    const servers = await echoes('127.0.0.2', '127.0.0.3')
    const dns = await Dns.start({ 'chat.test': { A: ['127.0.0.2'], ttl: 1 } })
    const t = await Turnout.start(byName(dns, servers.port, `, on_removed: ${onRemoved}`))
    await becomes(t, [`127.0.0.2:${servers.port}`])
    const old = await talking(t)
    dns.answers['chat.test'] = { A: ['127.0.0.3'], ttl: 1 }
    await becomes(t, [`127.0.0.3:${servers.port}`])
    const fresh = await talking(t)
    if (onRemoved === 'keep') await old.check()
    else {
      const line = await t.event(e => e.event === 'close')
      assert.equal(line.reason, 'REMOVED')
      assert.equal(line.server, `main/127.0.0.2:${servers.port}`)
      await old.closed()
    }
    await fresh.check()
    assert.match((await ask(t)).body, /127\.0\.0\.3/)
    const lines = t.events.filter(e => e.event === 'servers').map(e => e.words)
    assert.match(lines[1], /1 more \(127\.0\.0\.3/)
    assert.match(lines.at(-1), /1 servers, 1 less \(127\.0\.0\.2/)
    old.close(); fresh.close()
    await t.stop(); await dns.stop(); await servers.stop()
  }
})
test('flapping: an address that one answer lacks and the next has is never missed', async () => {
  const servers = await echoes('127.0.0.2', '127.0.0.3')
  let turn = 0
  const dns = await Dns.start((name, type) => {
    if (name !== 'chat.test') return undefined
    if (type === 'A') turn++
    return { A: turn % 2 ? ['127.0.0.2', '127.0.0.3'] : ['127.0.0.2'], ttl: 1 }
  })
  const t = await Turnout.start(byName(dns, servers.port))
  const both = [`127.0.0.2:${servers.port}`, `127.0.0.3:${servers.port}`]
  await becomes(t, both)
  const wire = await talking(t)
  for (let i = 0; i < 5; i++) {
    await dns.again('chat.test')
    assert.deepEqual(members(t), both)
  }
  assert.equal(t.events.filter(e => e.event === 'servers').length, 1)
  await wire.check()
  wire.close()
  await t.stop(); await dns.stop(); await servers.stop()
})
for (const [what, answer, words] of [
  ['is empty', { A: [], ttl: 1 }, /no such address/],
  ['is that there is no such name', undefined, /no such name/],
  ['is SERVFAIL', { code: 'SERVFAIL' }, /fails or refuses/],
  ['is REFUSED', { code: 'REFUSED' }, /fails or refuses/],
  ['does not come', { silent: true }, /in time/]
]) {
  test(`an answer that ${what} empties no pool: the last good one stays, and that is said`, async () => {
    const servers = await echoes('127.0.0.2')
    const dns = await Dns.start({ 'chat.test': { A: ['127.0.0.2'], ttl: 1 } })
    const t = await Turnout.start(byName(dns, servers.port))
    await becomes(t, [`127.0.0.2:${servers.port}`])
    const wire = await talking(t)
    dns.answers['chat.test'] = answer
    await until(() => found(t).failures > 0, 'the failure is seen', 30000)
    const state = found(t)
    assert.match(state.error, words)
    assert.equal(state.servers, 1)
    assert.ok(state.failed)
    assert.deepEqual(members(t), [`127.0.0.2:${servers.port}`])
    const line = await t.event(e => e.event === 'notice' && /last good servers stay/.test(e.words))
    assert.match(line.words, words)
    assert.equal((await ask(t)).status, 200)
    dns.answers['chat.test'] = { A: ['127.0.0.2'], ttl: 1 }
    await until(() => found(t).failures === 0, 'it is good again', 30000)
    await t.event(e => e.event === 'notice' && /is good again/.test(e.words))
    await wire.check()
    wire.close()
    await t.stop(); await dns.stop(); await servers.stop()
  })
}
test('a family that is silent alone takes nothing away', async () => {
  const servers = await echoes('127.0.0.2', '::1')
  const dns = await Dns.start({ 'chat.test': { A: ['127.0.0.2'], AAAA: ['::1'], ttl: 1 } })
  const t = await Turnout.start(byName(dns, servers.port))
  const both = [`127.0.0.2:${servers.port}`, `[::1]:${servers.port}`]
  await becomes(t, both)
  dns.answers['chat.test'] = { A: ['127.0.0.2'], ttl: 1, silent: 'AAAA' }
  await until(() => found(t).error, 'the failure is seen', 30000)
  assert.match(found(t).error, /in time/)
  assert.equal(found(t).failures, 0)
  assert.deepEqual(members(t), both)
  await t.stop(); await dns.stop(); await servers.stop()
})
test('100 addresses: an answer that is cut is asked for over TCP', async () => {
  const servers = await echoes('127.0.0.2')
  const many = Array.from({ length: 100 }, (_, i) => `127.1.0.${i + 1}`)
  const dns = await Dns.start({ 'chat.test': { A: many, ttl: 60 } })
  const t = await Turnout.start(byName(dns, servers.port))
  await becomes(t, many.map(a => `${a}:${servers.port}`))
  assert.ok(dns.asked.some(q => q.over === 'tcp'))
  assert.match((await t.event(e => e.event === 'servers')).words, /100 servers, 100 more \(.*, \.\.\.\)/)
  await t.stop(); await dns.stop(); await servers.stop()
})
test('it serves at once without an answer: 503 with Retry-After, until there is one', async () => {
  const servers = await echoes('127.0.0.2')
  const dns = await Dns.start({ 'chat.test': { silent: true } })
  const t = await Turnout.start(byName(dns, servers.port))
  const early = await ask(t)
  assert.equal(early.status, 503)
  assert.match(early.fields['retry-after'], /^\d+$/)
  assert.equal((await t.event(e => e.event === 'refused')).reason, 'NO_SERVER')
  assert.equal(found(t).found, null)
  dns.answers['chat.test'] = { A: ['127.0.0.2'], ttl: 1 }
  await becomes(t, [`127.0.0.2:${servers.port}`])
  assert.equal((await ask(t)).status, 200)
  await t.stop(); await dns.stop(); await servers.stop()
})
test('a reload keeps what was found and every tunnel, and follows another name or name server', async () => {
  const servers = await echoes('127.0.0.2', '127.0.0.3')
  const dns = await Dns.start({ 'chat.test': { A: ['127.0.0.2'], ttl: 60 }, 'other.test': { A: ['127.0.0.3'], ttl: 60 } })
  const other = await Dns.start({ 'chat.test': { A: ['127.0.0.3'], ttl: 60 } })
  const t = await Turnout.start(byName(dns, servers.port))
  await becomes(t, [`127.0.0.2:${servers.port}`])
  const wire = await talking(t)
  const asked = dns.asked.length
  for (let i = 0; i < 3; i++) {
    assert.equal(t.command('reload').code, 0)
    assert.equal((await ask(t)).status, 200)
    await wire.check()
  }
  assert.equal(dns.asked.length, asked) // the TTL has not ended
  t.write(t => byName(dns, servers.port)(t).replace('chat.test', 'other.test'))
  assert.equal(t.command('reload').code, 0)
  assert.equal((await ask(t)).status, 200) // by what was found before, or by the answer
  await becomes(t, [`127.0.0.3:${servers.port}`])
  t.write(byName(other, servers.port))
  assert.equal(t.command('reload').code, 0)
  await until(() => other.asked.length > 0)
  await wire.check()
  wire.close()
  await t.stop(); await dns.stop(); await other.stop(); await servers.stop()
})
test('a frozen name server holds up nothing, and turnout ends while it is being asked', async () => {
  const servers = await echoes('127.0.0.2')
  const dns = await Dns.start({ 'chat.test': { silent: true } })
  const t = await Turnout.start(t => byName(dns, servers.port)(t)
    .replace('pools: {', `pools: { still: { servers: [ 127.0.0.2:${servers.port} ] },`) +
    'routes: [ { match: { path: /still }, pool: still }, { pool: main } ]\n')
  await until(() => dns.asked.length > 0)
  const began = Date.now()
  for (let i = 0; i < 20; i++) {
    assert.equal((await ask(t, '/still')).status, 200)
    assert.equal(t.command('reload').code, 0)
  }
  assert.ok(Date.now() - began < 10000)
  assert.equal(found(t).next_usec, null) // being asked
  await t.stop(); await dns.stop(); await servers.stop()
})

test('without `resolver`: as this machine says, so that localhost is itself', async () => {
  const servers = await echoes('127.0.0.1', '::1')
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { servers: { dns: "localhost:${servers.port}", weight: 4, max_connections: 9 } } }
`)
  await becomes(t, [`127.0.0.1:${servers.port}`, `[::1]:${servers.port}`])
  const one = t.server(`127.0.0.1:${servers.port}`)
  assert.equal(one.weight, 4)
  assert.equal(one.max_connections, 9)
  assert.equal((await ask(t)).status, 200)
  await t.stop(); await servers.stop()
})
test('what was set by hand stays over answers, and other tunnels stay with it', async () => {
  const servers = await echoes('127.0.0.2', '127.0.0.3')
  const dns = await Dns.start({ 'chat.test': { A: ['127.0.0.2'], ttl: 1 } })
  const t = await Turnout.start(byName(dns, servers.port))
  const [one, other] = ['127.0.0.2', '127.0.0.3'].map(a => `${a}:${servers.port}`)
  await becomes(t, [one])
  const wire = await talking(t)
  assert.equal(t.command('weight', `main/${one}`, '5').code, 0)
  dns.answers['chat.test'] = { A: ['127.0.0.2', '127.0.0.3'], ttl: 1 }
  await becomes(t, [one, other])
  assert.equal(t.server(one).weight, 5)
  assert.equal(t.server(other).weight, 1)
  await wire.check()
  wire.close()
  await t.stop(); await dns.stop(); await servers.stop()
})
test('found servers are checked like any other, from the moment they are found', async () => {
  const servers = await echoes('127.0.0.2')
  const dns = await Dns.start({ 'chat.test': { A: ['127.0.0.2'], ttl: 1 } })
  const t = await Turnout.start(byName(dns, servers.port, ', health: { tcp: { interval: 100ms, fast_interval: 100ms, rise: 1, fall: 1 } }'))
  const [one, other] = ['127.0.0.2', '127.0.0.9'].map(a => `${a}:${servers.port}`)
  await becomes(t, [one])
  await until(() => t.server(one).check === 'up', 'the first is up')
  dns.answers['chat.test'] = { A: ['127.0.0.2', '127.0.0.9'], ttl: 1 } // nobody listens there
  await becomes(t, [one, other])
  await until(() => t.server(other).check === 'down', 'the second is down')
  assert.equal(t.server(one).check, 'up')
  for (let i = 0; i < 6; i++) assert.equal((await ask(t)).body, '127.0.0.2')
  await t.stop(); await dns.stop(); await servers.stop()
})
test('explain asks nobody, and says so', async () => {
  const dns = await Dns.start({})
  const t = await Turnout.start(byName(dns, 9001))
  await until(() => dns.asked.length > 0)
  const explained = spawnSync(binary, ['explain', t.file, `ws://127.0.0.1:${t.port}/`], { encoding: 'utf8' })
  assert.match(explained.stdout, /servers {4}found by DNS, as chat\.test:9001; `turnout servers`/)
  await t.stop(); await dns.stop()
})

// --- files

const byFile = (more = '') => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { servers: { file: servers.txt }, balance: round_robin${more} } }
`
async function startByFile (text, more) {
  let file
  const t = await Turnout.start(t => { file = path.join(t.dir, 'servers.txt'); writeFileSync(file, text); return byFile(more)(t) })
  return { t, file }
}
// What an orchestrator does.
function replace (file, text) {
  writeFileSync(file + '.new', text)
  renameSync(file + '.new', file)
}
test('a file is followed: replaced by rename, written anew, appended to; comments, weights, limits, backup', async () => {
  const a = await Echo.start('a')
  const b = await Echo.start('b')
  const { t, file } = await startByFile(`# the servers\n${a.address} weight=3 max_connections=7\n`)
  const one = t.server(a.address)
  assert.equal(one.weight, 3)
  assert.equal(one.max_connections, 7)
  const wire = await tunnel(t.port)
  const check = async word => { wire.send(frame(word)); await wire.until(word) }
  await check('first')
  replace(file, `${b.address} backup # spare\n${a.address}\n`)
  await becomes(t, [a.address, b.address])
  await until(() => t.server(a.address).weight === 1)
  await check('second')
  writeFileSync(file, `${b.address}\n`)
  await becomes(t, [b.address])
  await check('third') // its server is gone from the list, it is not
  appendFileSync(file, `${a.address}\n`)
  await becomes(t, [a.address, b.address])
  await check('fourth')
  const state = found(t)
  assert.equal(state.by, 'file')
  assert.equal(state.what, file)
  assert.equal(state.servers, 2)
  wire.close()
  await t.stop(); await a.stop(); await b.stop()
})
test('a bad line: file, line and what is said, the last good list stays; and so for an empty, a missing and an unreadable file', async () => {
  const a = await Echo.start('a')
  const { t, file } = await startByFile(`${a.address}\n`)
  const wire = await tunnel(t.port)
  const steps = [
    [() => replace(file, '127.0.0.1:1\n127.0.0.1:2 wieght=3\n'), /line 2: "wieght=3" is not known here/],
    [() => replace(file, 'localhost:9001\n'), /line 1: "localhost:9001" is no server address/],
    [() => replace(file, '127.0.0.1:1\n\n127.0.0.1:1\n'), /line 3: the server of line 1 again/],
    [() => writeFileSync(file, ''), /names no server/],
    [() => unlinkSync(file), /cannot be read: No such file/],
    [() => mkdirSync(file), /cannot be read: Is a directory/]
  ]
  for (const [change, words] of steps) {
    change()
    await until(() => words.test(found(t).error ?? ''), `${words}`, 20000)
    assert.deepEqual(members(t), [a.address])
    wire.send(frame('on'))
    await wire.until('on')
    ;(await tunnel(t.port)).close()
  }
  await t.event(e => e.event === 'notice' && e.words.startsWith(`${file}:2: "wieght=3"`))
  rmSync(file, { recursive: true })
  replace(file, `${a.address} weight=2\n`)
  await until(() => t.server(a.address).weight === 2, 'good again', 20000)
  assert.equal(found(t).error, null)
  wire.close()
  await t.stop(); await a.stop()
})
test('a file behind links, as Kubernetes mounts one: the directory is swapped', async () => {
  const a = await Echo.start('a')
  const b = await Echo.start('b')
  const { t, file } = await startByFile(`${a.address}\n`)
  const put = (name, text) => { mkdirSync(path.join(t.dir, name)); writeFileSync(path.join(t.dir, name, 'servers.txt'), text); symlinkSync(name, path.join(t.dir, 'next')); renameSync(path.join(t.dir, 'next'), path.join(t.dir, '..data')) }
  put('one', `${a.address}\n`)
  symlinkSync('..data/servers.txt', file + '.link')
  renameSync(file + '.link', file)
  put('two', `${b.address}\n`)
  await becomes(t, [b.address])
  await t.stop(); await a.stop(); await b.stop()
})
test('at the start and at a reload the file must be there and good, else the configuration is refused', async () => {
  const a = await Echo.start('a')
  const { t, file } = await startByFile(`${a.address}\n`)
  replace(file, `${a.address} weight=x\n`)
  const refused = t.command('reload')
  assert.equal(refused.code, 1)
  assert.match(refused.err, /servers\.txt:1:1: error: weight is a number from 1 to 256/)
  unlinkSync(file)
  assert.match(t.command('reload').err, /turnout\.yaml:\d+:\d+: error: cannot read ".*servers\.txt": No such file/)
  ;(await tunnel(t.port)).close()
  await t.stop(); await a.stop()
})
test('explain reads the file, and check --show says where servers are found', async () => {
  const a = await Echo.start('a')
  const { t } = await startByFile(`${a.address}\n`)
  assert.match(t.command('status').out, /pool main: 1 servers, by file .*servers\.txt/)
  const explained = spawnSync(binary, ['explain', t.file, `ws://127.0.0.1:${t.port}/`], { encoding: 'utf8' })
  assert.match(explained.stdout, new RegExp(`main/${a.address}, weight 1 {2}<- chosen`))
  const shown = spawnSync(binary, ['check', '--show', t.file], { encoding: 'utf8' })
  assert.match(shown.stdout, /servers: \{ file: ".*servers\.txt", weight: 1, max_connections: 0 \}/)
  await t.stop(); await a.stop()
})
