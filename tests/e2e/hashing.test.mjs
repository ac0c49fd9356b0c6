// Every balancer over real servers: shares by weight, the same server for the same key, and what a key can be.
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { after, before, test } from 'node:test'
import { Backend, Wire, request, switching, tunnel } from './lib/raw.mjs'
import { inSeconds, key } from './lib/tokens.mjs'
import { Echo, Turnout, binary, freePort, until } from './lib/turnout.mjs'

const hs = key('HS256')
const names = ['a', 'b', 'c', 'd']
let echoes
before(async () => { echoes = await Promise.all(names.map(name => Echo.start(name))) })
after(async () => { for (const echo of echoes) await echo.stop() })

const servers = weights => weights.map((w, i) => `{ address: ${echoes[i].address}, weight: ${w} }`).join(', ')
const config = (pool, route = '', more = '') => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { ${pool} } }
routes: [ { match: { prefix: / }, pool: main${route} } ]
${more}`

// A tunnel, and who serves it.
async function open (port, path = '/', options = {}) {
  const wire = await Wire.connect(port, { localAddress: options.from })
  wire.send(request(path, options))
  const head = await wire.head()
  assert.equal(head.status, 101, head.head)
  wire.server = head.fields['x-server']
  return wire
}
const cookie = uid => ({ extra: `Cookie: uid=${uid}\r\n` })
const close = wires => wires.forEach(wire => wire.close())
const count = wires => names.map(name => wires.filter(wire => wire.server === name).length)

async function openMany (t, number, options) {
  const wires = []
  for (let i = 0; i < number; i += 20) wires.push(...await Promise.all(Array.from({ length: Math.min(20, number - i) }, (_, k) => open(t.port, '/', options(i + k)))))
  return wires
}

for (const balance of ['maglev', 'rendezvous', 'bounded_hash']) {
  test(`${balance}: shares by weight; the same key finds the same server again, also after a restart and in another order`, async () => {
    const weights = [1, 1, 2, 4]
    const t = await Turnout.start(config(`balance: ${balance}, hash: cookie.uid, servers: [ ${servers(weights)} ]`))
    const wires = await openMany(t, 400, cookie)
    for (const [i, got] of count(wires).entries()) {
      const share = 400 * weights[i] / 8
      assert.ok(Math.abs(got - share) <= 5 * Math.sqrt(share), `${names[i]}: ${got} for ${share}`)
    }
    close(wires)
    await until(() => t.counters().tunnels === 0)
    const turned = `balance: ${balance}, hash: cookie.uid, servers: [ ${servers(weights).split('}, ').reverse().map(s => s.replace('}', '')).join('}, ')} } ]`
    const other = await Turnout.start(config(turned))
    for (const one of [t, other]) {
      for (let i = 0; i < 40; i++) { // one at a time, so that no bound is met
        const again = await open(one.port, '/', cookie(i))
        if (balance !== 'bounded_hash') assert.equal(again.server, wires[i].server)
        again.close()
        await until(() => one.counters().tunnels === 0)
      }
    }
    await other.stop()
    await t.stop()
  })
}
test('bounded_hash: one key for all fills no server above 5/4 of the mean; a key alone has one server', async () => {
  const t = await Turnout.start(config(`balance: bounded_hash, hash: cookie.uid, servers: [ ${servers([1, 1, 1, 1])} ]`))
  const home = await open(t.port, '/', cookie('hot'))
  home.close()
  await until(() => t.counters().tunnels === 0)
  const wires = []
  for (let i = 1; i <= 100; i++) {
    wires.push(await open(t.port, '/', cookie('hot')))
    assert.ok(Math.max(...count(wires)) <= Math.ceil(1.25 * i / 4), `${count(wires)} of ${i}`)
  }
  assert.equal(count(wires)[names.indexOf(home.server)], Math.ceil(1.25 * 100 / 4), 'its own server is filled first')
  close(wires)
  await t.stop()
})
test('two_choices: near the weights, and never a server that is down', async () => {
  const weights = [1, 2, 3]
  const t = await Turnout.start(config(`balance: two_choices, servers: [ ${servers(weights)}, { address: ${echoes[3].address} } ]`))
  assert.equal(t.command('remove', `main/${echoes[3].address}`).code, 0)
  const wires = []
  for (let i = 0; i < 120; i++) wires.push(await open(t.port))
  const got = count(wires)
  assert.equal(got[3], 0)
  for (let i = 0; i < 3; i++) assert.ok(Math.abs(got[i] - 20 * weights[i]) <= 8, `${got}`)
  close(wires)
  await t.stop()
})
test('least_time: the server that answers sooner has more, the slow one is asked again now and then', async () => {
  const named = (name, msec) => Backend.start(async (wire, asked) => {
    await new Promise(resolve => setTimeout(resolve, msec))
    wire.send(switching(asked.fields['sec-websocket-key'], `X-Server: ${name}\r\n`))
    return 'tunnel'
  })
  const fast = await named('a', 0)
  const slow = await named('b', 300)
  const t = await Turnout.start(config(`balance: least_time, servers: [ ${fast.address}, ${slow.address} ]`))
  const wires = []
  for (let i = 0; i < 70; i++) wires.push(await open(t.port))
  const got = count(wires)
  assert.ok(got[1] >= 2, `asked at first, and again later: ${got}`)
  assert.ok(got[1] <= 10, `${got}`) // two and, where this machine is slow, some more
  close(wires)
  await t.stop()
  await fast.stop()
  await slow.stop()
})
test('ip_hash: one server for each client address, behind trusted proxies and for raw TCP too', async () => {
  const tcp = await freePort()
  const t = await Turnout.start(t => {
    t.tcp = tcp
    return config(`balance: ip_hash, servers: [ ${servers([1, 1, 1, 1])} ]`, '', 'trusted_proxies: [ 127.0.0.1 ]\n')(t)
      .replace('listeners: [ ', `listeners: [ { listen: 127.0.0.1:${tcp}, tcp: main }, `)
  })
  const seen = new Set()
  for (let i = 2; i < 30; i++) {
    const from = `127.0.0.${i}`
    const wires = [await open(t.port, '/', { from }), await open(t.port, '/other', { from }), await open(t.tcp, '/', { from }),
      await open(t.port, '/', { extra: `X-Forwarded-For: ${from}\r\n` })]
    assert.equal(new Set(wires.map(wire => wire.server)).size, 1, from)
    seen.add(wires[0].server)
    const said = spawnSync(binary, ['explain', t.file, `ws://127.0.0.1:${t.port}/`, '--from', from], { encoding: 'utf8' }).stdout
    assert.equal(/main\/(\S+),.*<- chosen/.exec(said)[1], echoes[names.indexOf(wires[0].server)].address)
    assert.match(said, new RegExp(`hash +client: "${from}"`))
    close(wires)
  }
  assert.equal(seen.size, 4)
  await t.stop()
})

const kinds = {
  'header.X-User': user => ['/rooms/1', { extra: `X-User: ${user}\r\n` }],
  'cookie.uid': user => ['/rooms/1', { extra: `Cookie: a=1; uid=${user}\r\n` }],
  'query.user': user => [`/rooms/1?user=${user}&x=1`, {}],
  'path.room': user => [`/rooms/${user}`, {}],
  'jwt.sub': user => ['/rooms/1', { extra: `Authorization: Bearer ${hs.token({ sub: user, exp: inSeconds(600) })}\r\n` }],
  subprotocol: user => ['/rooms/1', { extra: `Sec-WebSocket-Protocol: ${user}, other\r\n` }]
}
for (const [hash, ask] of Object.entries(kinds)) {
  test(`hash: ${hash} decides, and explain says the same; who does not say it goes anywhere`, async () => {
    const access = hash.startsWith('jwt.') ? `, access: { jwt: { keys: "${hs.secret}" } }` : ''
    const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { balance: maglev, hash: ${hash}, servers: [ ${servers([1, 1, 1, 1])} ] } }
routes: [ { match: { path: "/rooms/{room}" }, pool: main${access} } ]
`)
    const seen = new Set()
    for (let i = 0; i < 16; i++) {
      const [path, options] = ask(`u${i}`)
      const wires = [await open(t.port, path, options), await open(t.port, path, options)]
      assert.equal(wires[0].server, wires[1].server)
      seen.add(wires[0].server)
      const header = options.extra ? ['--header', options.extra.trim()] : []
      const said = spawnSync(binary, ['explain', t.file, `ws://127.0.0.1:${t.port}${path}`, ...header], { encoding: 'utf8' }).stdout
      assert.equal(/main\/(\S+),.*<- chosen/.exec(said)[1], echoes[names.indexOf(wires[0].server)].address, said)
      assert.ok(said.includes(`${hash}: "u${i}"`), said)
      close(wires)
    }
    assert.ok(seen.size >= 3, [...seen].join())
    if (hash !== 'path.room' && hash !== 'jwt.sub') {
      const wires = []
      for (let i = 0; i < 40; i++) wires.push(await open(t.port, '/rooms/1'))
      assert.ok(new Set(wires.map(wire => wire.server)).size >= 3)
      close(wires)
    }
    await t.stop()
  })
}
test('encoded or not, a query parameter is the same key', async () => {
  const t = await Turnout.start(config(`balance: rendezvous, hash: query.room, servers: [ ${servers([1, 1, 1, 1])} ]`))
  for (let i = 0; i < 10; i++) {
    const wires = [await open(t.port, `/?room=b%20${i}`), await open(t.port, `/?room=%62+${i}`), await open(t.port, `/?a=1&room=b%20%3${i}`)]
    assert.equal(new Set(wires.map(wire => wire.server)).size, 1)
    close(wires)
  }
  await t.stop()
})
test('a server that goes moves its own keys and hardly any other; one that comes back has them again', async () => {
  for (const balance of ['maglev', 'rendezvous', 'ip_hash']) {
    const t = await Turnout.start(config(`balance: ${balance}${balance === 'ip_hash' ? '' : ', hash: header.X-Key'}, servers: [ ${servers([1, 1, 1, 1])} ]`))
    const where = async () => {
      const wires = await openMany(t, 200, i => ({ extra: `X-Key: ${i}\r\n`, from: `127.0.1.${i}` }))
      close(wires)
      return wires.map(wire => wire.server)
    }
    const before = await where()
    assert.equal(t.command('remove', `main/${echoes[2].address}`).code, 0)
    const without = await where()
    assert.ok(!without.includes('c'))
    const moved = before.filter((server, i) => server !== 'c' && server !== without[i]).length
    assert.ok(moved <= (balance === 'rendezvous' ? 0 : 6), `${balance}: ${moved} others moved`)
    assert.equal(t.command('add', `main/${echoes[2].address}`).code, 0)
    assert.deepEqual(await where(), before)
    await t.stop()
  }
})

const refusals = [
  ['hash: session', /"session" names nothing of a request/],
  ['hash: cookie.', /names nothing of a request/],
  ['hash: path.room', /path has no \{room\}/],
  ['hash: jwt.sub', /asks for no token/]
]
for (const [hash, words] of refusals) {
  test(`${hash} is refused when the file is read, with words`, async () => {
    const t = await Turnout.start(config(`balance: maglev, servers: [ ${servers([1])} ]`))
    t.write(config(`balance: maglev, ${hash}, servers: [ ${servers([1])} ]`))
    const said = spawnSync(binary, ['check', t.file], { encoding: 'utf8' })
    assert.equal(said.status, 1)
    assert.match(said.stderr, words)
    assert.match(said.stderr, /turnout\.yaml:\d+:\d+: error/)
    assert.equal(t.command('reload').code, 1)
    ;(await tunnel(t.port)).close()
    await t.stop()
  })
}
