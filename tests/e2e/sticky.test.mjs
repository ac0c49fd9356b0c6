// Who came before goes there again: by our cookie, a parameter, what the application gives out, the client's network.
import assert from 'node:assert/strict'
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { after, before, test } from 'node:test'
import tls from 'node:tls'
import { Wire, request } from './lib/raw.mjs'
import { Server, get, pair, shake } from './lib/sticky.mjs'
import { Turnout, binary, freePort, until } from './lib/turnout.mjs'

let servers
before(async () => { servers = await Promise.all(['a', 'b', 'c'].map(name => Server.start(name))) })
after(async () => { for (const s of servers) await s.stop() })

const config = (sticky, more = '', pool = '') => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { balance: round_robin, servers: [ ${servers.map(s => s.address).join(', ')} ]${pool} } }
routes: [ { match: { prefix: / }, pool: main, sticky: ${sticky} } ]
${more}`

const words = t => t.events.filter(e => e.event === 'request' || e.event === 'open' || e.event === 'refused').map(e => e.sticky)
const lastWord = async (t, count) => { await until(() => words(t).length >= count, `${count} lines`); return words(t).at(-1) }

test('a cookie of ours brings requests and tunnels back, and is set once', async () => {
  const t = await Turnout.start(config('{ cookie: turnout }'))
  const first = await get(t.port)
  assert.equal(first.cookies.length, 1)
  assert.match(first.cookies[0], /^turnout=[A-Za-z0-9_-]{60,150}; Path=\/; HttpOnly; SameSite=Lax$/)
  assert.equal(await lastWord(t, 1), 'new')
  const extra = `Cookie: other=1; ${pair(first.cookies[0])}; more=2\r\n`
  for (let i = 0; i < 6; i++) {
    const again = i % 2 ? await shake(t.port, { extra }) : await get(t.port, { extra })
    assert.equal(again.server, first.server)
    assert.deepEqual(again.cookies, [])
  }
  assert.equal(await lastWord(t, 7), 'valid')
  assert.equal((await get(t.port, { extra })).headers.cookie, extra.slice(8, -2), 'the server gets it as it came')
  const counters = t.counters()
  assert.equal(counters.sticky_new_ever, 1)
  assert.equal(counters.sticky_valid_ever, 7)
  await t.stop()
})

test('the 101 sets it too, and /connections/N says what became of the session', async () => {
  const t = await Turnout.start(config('{ cookie: turnout, path: /x, same_site: strict, http_only: no, secure: yes, max_age: 1h }'))
  const wire = await Wire.connect(t.port)
  wire.send(request('/'))
  const answer = await wire.head()
  assert.equal(answer.status, 101)
  assert.match(answer.fields['set-cookie'], /^turnout=[A-Za-z0-9_-]+; Path=\/x; Max-Age=3600; Secure; SameSite=Strict$/)
  const open = await t.event(e => e.event === 'open')
  assert.equal(open.sticky, 'new')
  assert.equal(t.json('connections').connections.find(c => c.connection === open.connection).sticky, 'new')
  wire.close()
  const again = await shake(t.port, { extra: `Cookie: ${pair(answer.fields['set-cookie'])}\r\n` })
  assert.equal(again.server, answer.fields['x-server'])
  await t.stop()
})

test('requests of one client connection are decided one by one', async () => {
  const t = await Turnout.start(config('{ cookie: turnout }'))
  const cookies = []
  for (let i = 0; i < 3; i++) { const a = await get(t.port); cookies.push([a.server, pair(a.cookies[0])]) }
  const wire = await Wire.connect(t.port)
  for (let i = 0; i < 30; i++) {
    const [server, cookie] = cookies[(i * 7) % 3]
    assert.equal((await get(t.port, { wire, extra: `Cookie: ${cookie}\r\n` })).server, server)
  }
  wire.close()
  await t.stop()
})

test('forged, cut, foreign and overlong cookies are invalid, and never an error for the client', async () => {
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { balance: round_robin, servers: [ ${servers[0].address}, ${servers[1].address} ] }, other: { servers: [ ${servers.map(s => s.address).join(', ')} ] } }
routes: [ { match: { prefix: /other }, pool: other, sticky: { cookie: turnout } }, { match: { prefix: /name }, pool: main, sticky: { cookie: another } }, { match: { prefix: / }, pool: main, sticky: { cookie: turnout } } ]`)
  const first = await get(t.port)
  const [name, value] = pair(first.cookies[0]).split('=')
  const wire = await Wire.connect(t.port)
  const bad = []
  for (let i = 0; i < value.length; i++) for (const c of ['A', '_', '!', value[i] === 'b' ? 'c' : 'b']) if (c !== value[i]) bad.push(value.slice(0, i) + c + value.slice(i + 1))
  for (let i = 1; i < value.length; i += 3) bad.push(value.slice(0, i))
  bad.push(value + 'A', value + value, 'x'.repeat(4000), '"' + value + '"', '%00', value.toLowerCase())
  for (const forged of bad) {
    const answer = await get(t.port, { wire, extra: `Cookie: ${name}=${forged}\r\n` })
    assert.equal(answer.status, 200, forged)
    assert.equal(answer.cookies.length, 1, `a good one is set instead of ${forged}`)
  }
  assert.equal(t.counters().sticky_invalid_ever, bad.length)
  for (const [path, cookie] of [['/other', `${name}=${value}`], ['/name', `another=${value}`]]) {
    const answer = await get(t.port, { wire, path, extra: `Cookie: ${cookie}\r\n` })
    assert.equal(answer.status, 200)
    assert.equal(answer.cookies.length, 1)
  }
  assert.equal(t.counters().sticky_invalid_ever, bad.length + 2)
  const mixed = await get(t.port, { wire, extra: `Cookie: ${name}=old; ${name}=${value}\r\n` })
  assert.equal(mixed.server, first.server, 'the good one of two counts')
  assert.deepEqual(mixed.cookies, [])
  wire.close()
  await t.stop()
})

test('a server that is down, drained, full or gone: another one, and the cookie says so from then on', async () => {
  const own = await Promise.all(['d', 'e'].map(name => Server.start(name)))
  const yaml = (list, more = '') => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]\npools: { main: { balance: round_robin, servers: [ ${list} ] } }\nroutes: [ { match: { prefix: / }, pool: main, sticky: { cookie: turnout } } ]\n${more}`
  const [d, e] = own
  const t = await Turnout.start(yaml(`{ address: ${d.address}, max_connections: 1 }, ${e.address}`))
  let first = await get(t.port)
  while (first.server !== 'd') first = await get(t.port)
  const extra = `Cookie: ${pair(first.cookies[0])}\r\n`

  const holds = await Wire.connect(t.port)
  holds.send(request('/', { extra }))
  assert.equal((await holds.head()).fields['x-server'], 'd')
  const full = await get(t.port, { extra })
  assert.equal(full.server, 'e')
  assert.equal(full.cookies.length, 1)
  await until(() => t.events.some(l => l.event === 'request' && l.sticky === 'reassigned'), 'reassigned')
  holds.close()
  await until(() => t.server(d.address).active === 0)
  assert.equal((await get(t.port, { extra })).server, 'd', 'the old cookie is as good as it was')

  await d.stop()
  const down = await get(t.port, { extra })
  assert.equal(down.server, 'e')
  assert.equal(down.status, 200)
  await until(() => t.events.some(l => l.event === 'request' && l.sticky === 'server_down'), 'server_down')
  const moved = `Cookie: ${pair(down.cookies[0])}\r\n`
  assert.equal((await get(t.port, { extra: moved })).server, 'e')
  assert.deepEqual((await get(t.port, { extra: moved })).cookies, [])

  t.write(yaml(e.address))
  assert.equal(t.command('reload').code, 0)
  const gone = await get(t.port, { extra })
  assert.equal(gone.server, 'e')
  assert.equal(gone.cookies.length, 1)
  assert.equal((await get(t.port, { extra: moved })).server, 'e')
  assert.equal(t.counters().sticky_server_down_ever, 2)
  await t.stop()
  await e.stop()
})

test('a cookie with a life is set again when half of it is over, and invalid after it', async () => {
  const t = await Turnout.start(config('{ cookie: turnout, max_age: 4s }'))
  const first = await get(t.port)
  const extra = `Cookie: ${pair(first.cookies[0])}\r\n`
  assert.deepEqual((await get(t.port, { extra })).cookies, [])
  const renewed = await until(async () => { const a = await get(t.port, { extra }); return a.cookies.length > 0 && a }, 'a new cookie')
  assert.equal(renewed.server, first.server)
  await until(() => t.counters().sticky_valid_ever > 1)
  await until(async () => { await get(t.port, { extra }); return t.counters().sticky_invalid_ever > 0 }, 'it is too old')
  assert.equal((await get(t.port, { extra: `Cookie: ${pair(renewed.cookies[0])}\r\n` })).server, first.server)
  await t.stop()
})

test('cookies survive reloads; other nodes take them with the same sticky_keys, and keys change without a gap', async () => {
  const keys = (...list) => `sticky_keys: [ ${list.join(', ')} ]\n`
  const own = await Turnout.start(config('{ cookie: turnout }'))
  const before = await get(own.port)
  assert.equal(own.command('reload').code, 0)
  assert.equal((await get(own.port, { extra: `Cookie: ${pair(before.cookies[0])}\r\n` })).server, before.server)
  assert.equal(own.counters().sticky_valid_ever, 1)

  const one = await Turnout.start(config('{ cookie: turnout }', keys('the-first-secret-of-ours')))
  const two = await Turnout.start(config('{ cookie: turnout }', keys('the-second-secret-of-ours', 'the-first-secret-of-ours')))
  const a = await get(one.port)
  const back = await get(two.port, { extra: `Cookie: ${pair(a.cookies[0])}\r\n` })
  assert.equal(back.server, a.server)
  assert.deepEqual(back.cookies, [])
  const b = await get(two.port)
  assert.equal((await get(one.port, { extra: `Cookie: ${pair(b.cookies[0])}\r\n` })).cookies.length, 1, 'the first has only the old key')
  assert.equal((await get(own.port, { extra: `Cookie: ${pair(b.cookies[0])}\r\n` })).cookies.length, 1, 'a node without keys has its own')
  for (const t of [own, one, two]) await t.stop()
})

test('a value of the query names a session: 10,000 of them, each to its server', async () => {
  const t = await Turnout.start(config('{ query: sid }'))
  const wires = await Promise.all(Array.from({ length: 8 }, () => Wire.connect(t.port)))
  const homes = new Map()
  const ask = async (check) => {
    await Promise.all(wires.map(async (wire, w) => {
      for (let i = w; i < 10000; i += wires.length) {
        const { server } = await get(t.port, { wire, path: `/?a=1&sid=key-${i}` })
        check(i, server)
      }
    }))
  }
  await ask((i, server) => homes.set(i, server))
  let strays = 0
  await ask((i, server) => { strays += homes.get(i) !== server })
  assert.equal(strays, 0)
  const counts = servers.map(s => [...homes.values()].filter(name => name === s.name).length)
  assert.ok(Math.min(...counts) > 3300, String(counts))
  const counters = t.counters()
  assert.equal(counters.sticky_given_ever, 10000)
  assert.equal(counters.sticky_valid_ever, 10000)
  assert.equal(t.command('reload').code, 0)
  assert.equal((await get(t.port, { path: '/?sid=key-77' })).server, homes.get(77), 'a reload forgets nobody')
  for (const wire of wires) wire.close()
  await t.stop()
})

test('what the application gives out is learnt, in cookies and in fields, from answers and from the 101', async () => {
  const t = await Turnout.start(config('{ learn: cookie.JSESSIONID }'))
  const given = await get(t.port, { extra: 'X-Give: Set-Cookie=JSESSIONID=s1.node; Path=/|Set-Cookie=a=b\r\n' })
  assert.equal(given.cookies.length, 2, 'as the server set them')
  const tunnel = await shake(t.port, { extra: 'X-Give: Set-Cookie=JSESSIONID=s2; Path=/\r\n' })
  assert.notEqual(tunnel.server, given.server)
  for (let i = 0; i < 4; i++) {
    assert.equal((await get(t.port, { extra: 'Cookie: JSESSIONID=s1.node\r\n' })).server, given.server)
    assert.equal((await shake(t.port, { extra: 'Cookie: a=b; JSESSIONID=s2\r\n' })).server, tunnel.server)
  }
  const unknown = new Set()
  for (let i = 0; i < 3; i++) unknown.add((await get(t.port, { extra: 'Cookie: JSESSIONID=nobody\r\n' })).server)
  assert.equal(unknown.size, 3, 'a value that no server gave out is bound to none')
  assert.equal(t.counters().sticky_given_ever, 3)
  await t.stop()

  const u = await Turnout.start(config('{ learn: header.X-Session }'))
  const taught = await get(u.port, { extra: 'X-Give: X-Session=abc\r\n' })
  for (let i = 0; i < 4; i++) assert.equal((await get(u.port, { extra: 'x-session: abc\r\n' })).server, taught.server)
  await u.stop()
})

test('a session whose server failed is learnt anew where it went; an answer of 500 binds nobody', async () => {
  const own = await Promise.all(['d', 'e'].map(name => Server.start(name)))
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]\npools: { main: { balance: round_robin, servers: [ ${own.map(s => s.address).join(', ')} ] } }\nroutes: [ { match: { prefix: / }, pool: main, sticky: { query: k } } ]`)
  for (const s of own) s.status = 500
  const bad = new Set()
  for (let i = 0; i < 4; i++) bad.add((await get(t.port, { path: '/?k=1' })).server)
  assert.equal(bad.size, 2)
  for (const s of own) s.status = 200
  const home = await get(t.port, { path: '/?k=1' })
  const dead = own.find(s => s.name === home.server)
  const other = own.find(s => s !== dead)
  await dead.stop()
  assert.equal((await get(t.port, { path: '/?k=1' })).server, other.name)
  const back = await Server.start(dead.name, dead.port)
  assert.equal((await get(t.port, { path: '/?k=1' })).server, other.name, 'it stays where it went')
  await back.stop()
  await other.stop()
  await t.stop()
})

test('a source is a network', async () => {
  const t = await Turnout.start(config('{ source: 24 }'))
  const homes = {}
  for (const net of ['127.0.0', '127.1.2', '127.3.4']) {
    homes[net] = (await get(t.port, { localAddress: `${net}.7` })).server
    for (let i = 1; i < 7; i++) assert.equal((await get(t.port, { localAddress: `${net}.${10 + i}` })).server, homes[net])
  }
  assert.equal(new Set(Object.values(homes)).size, 3)
  assert.equal(t.counters().sticky_new_ever, 3)
  await t.stop()
})

test('TLS: the cookie is for https where the client spoke it; a source decides what passes through', async () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-e2e-'))
  execFileSync('openssl', ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '30', '-keyout', `${dir}/k`, '-out', `${dir}/c`, '-subj', '/CN=x.example'], { stdio: 'ignore' })
  const securePort = await freePort()
  const passPort = await freePort()
  const own = await Promise.all(['p', 'q', 'r'].map(name => new Promise(resolve => {
    const server = tls.createServer({ key: readFileSync(`${dir}/k`), cert: readFileSync(`${dir}/c`) }, socket => socket.on('error', () => {}).end(name))
    server.listen(0, '127.0.0.1', () => resolve(server))
  })))
  const t = await Turnout.start(t => `trusted_proxies: [ 127.0.0.1 ]
listeners:
  - { listen: 127.0.0.1:${t.port} }
  - { listen: 127.0.0.1:${securePort}, tls: { mode: terminate, certificates: [ { cert: ${dir}/c, key: ${dir}/k } ] } }
  - { listen: 127.0.0.1:${passPort}, tls: { mode: passthrough } }
stores: { kept: { memory: {} } }
pools: { main: { servers: [ ${servers[0].address} ] }, own: { balance: round_robin, servers: [ ${own.map(s => `127.0.0.1:${s.address().port}`).join(', ')} ] } }
routes:
  - { match: { host: kept.example }, pool: own, sticky: { source: 24, store: kept } }
  - { match: { host: x.example }, pool: own, sticky: { source: 24 } }
  - { match: { prefix: / }, pool: main, sticky: { cookie: turnout } }`)
  const wire = await Wire.connectTls(securePort)
  const secure = await get(0, { wire })
  wire.close()
  assert.match(secure.cookies[0], /; HttpOnly; Secure; SameSite=Lax$/)
  assert.match((await get(t.port, { extra: 'X-Forwarded-Proto: https\r\n' })).cookies[0], /; Secure;/)
  assert.doesNotMatch((await get(t.port)).cookies[0], /Secure/)

  const name = (servername, localAddress) => new Promise((resolve, reject) => {
    const socket = tls.connect({ port: passPort, host: '127.0.0.1', servername, localAddress, rejectUnauthorized: false })
    let got = ''
    socket.on('data', data => { got += data }).on('end', () => resolve(got)).on('error', reject)
  })
  for (const servername of ['x.example', 'kept.example']) {
    const homes = {}
    for (const net of ['127.0.7', '127.1.7', '127.2.7']) homes[net] = await name(servername, `${net}.1`)
    assert.equal(new Set(Object.values(homes)).size, 3)
    for (let i = 2; i < 6; i++) for (const net of Object.keys(homes)) assert.equal(await name(servername, `${net}.${i}`), homes[net])
  }
  await until(() => t.events.filter(e => e.event === 'open' && e.sticky === 'valid').length >= 24)
  for (const s of own) s.close()
  await t.stop()
  rmSync(dir, { recursive: true })
})

test('who comes to another shard with his cookie goes to that shard', async () => {
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { balance: round_robin, servers: [ ${servers.map(s => s.address).join(', ')} ] } }
routes: [ { match: { path: "/{room}" }, pool: main, shard: { key: path.room, servers: 1 }, sticky: { cookie: turnout } } ]`)
  const homes = {}
  for (let i = 0; i < 12; i++) homes[`r${i}`] = await get(t.port, { path: `/r${i}` })
  const one = homes.r0
  const extra = `Cookie: ${pair(one.cookies[0])}\r\n`
  for (const [room, home] of Object.entries(homes)) assert.equal((await get(t.port, { path: `/${room}`, extra })).server, home.server)
  const away = Object.values(homes).filter(h => h.server !== one.server).length
  assert.ok(away > 0)
  await until(() => t.counters().sticky_reassigned_ever === away)
  await t.stop()
})

test('nobody but us says X-Turnout-Session', async () => {
  const t = await Turnout.start(config('{ cookie: turnout }'))
  const { headers } = await get(t.port, { extra: 'X-Turnout-Session: forged\r\nX_Turnout_Session: forged\r\nX-Turnout-Session-Moved: from=here\r\n' })
  assert.deepEqual(Object.keys(headers).filter(name => /turnout/.test(name)), [])
  await t.stop()
})

test('several pools: who is at home in one of them stays there', async () => {
  const t = await Turnout.start(t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { stable: { servers: [ ${servers[0].address} ] }, canary: { servers: [ ${servers[1].address}, ${servers[2].address} ] } }
routes: [ { match: { prefix: /q }, pools: [ { pool: stable, weight: 50 }, { pool: canary, weight: 50 } ], sticky: { query: k } }, { match: { prefix: / }, pools: [ { pool: stable, weight: 50 }, { pool: canary, weight: 50 } ], sticky: { cookie: turnout } } ]`)
  const cookies = []
  for (let i = 0; i < 6; i++) { const a = await get(t.port); cookies.push([a.server, pair(a.cookies[0])]) }
  assert.ok(new Set(cookies.map(([server]) => server === 'a')).size === 2, 'both pools serve')
  for (let round = 0; round < 3; round++) for (const [server, cookie] of cookies) assert.equal((await get(t.port, { extra: `Cookie: ${cookie}\r\n` })).server, server)
  const homes = []
  for (let i = 0; i < 6; i++) homes.push((await get(t.port, { path: `/q?k=${i}` })).server)
  for (let i = 0; i < 6; i++) assert.equal((await get(t.port, { path: `/q?k=${i}` })).server, homes[i])
  await t.stop()
})

test('where no request is seen only the source can decide, and the configuration says so', async () => {
  const port = await freePort()
  const dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-e2e-'))
  const check = (sticky, more = '', match = '{ host: x.example }') => {
    writeFileSync(`${dir}/t.yaml`, `listeners: [ { listen: 127.0.0.1:${port}, tls: { mode: passthrough } } ]\npools: { main: { servers: [ 127.0.0.1:9 ] } }\nroutes: [ { match: ${match}, pool: main, sticky: ${sticky} } ]\n${more}`)
    return spawnSync(binary, ['check', `${dir}/t.yaml`], { encoding: 'utf8' })
  }
  const wrong = check('{ cookie: turnout }')
  assert.equal(wrong.status, 1)
  assert.match(wrong.stderr, /t.yaml:3:\d+: error: sticky: listener 127\.0\.0\.1:\d+ passes TLS through, where no request is seen: only the client's address can decide\n.*\n.*\n.*write sticky: \{ source: 24 \}/)
  assert.equal(check('{ source: 24 }').status, 0)
  const many = check('{ source: 24 }', `sticky_keys: [ ${Array.from({ length: 17 }, (_, i) => `a-secret-with-number-${i}`).join(', ')} ]\n`)
  assert.match(many.stderr, /sticky_keys: more than 16 keys/)
  rmSync(dir, { recursive: true })
})

test('explain opens a cookie, and says what names a session', async () => {
  const t = await Turnout.start(config('{ cookie: turnout }', 'sticky_keys: [ a-secret-of-the-tests ]\n'))
  const first = await get(t.port)
  const explain = cookie => spawnSync(binary, ['explain', t.file, `http://127.0.0.1:${t.port}/`, ...(cookie ? ['--header', `Cookie: ${cookie}`] : [])], { encoding: 'utf8' }).stdout
  assert.match(explain(), /sticky +by a cookie of ours, turnout\n +this request has none: new, any server/)
  const server = servers.find(s => s.name === first.server)
  assert.match(explain(pair(first.cookies[0])), new RegExp(`its cookie says main/${server.address}, set at 20[^ ]+: valid`))
  assert.match(explain('turnout=forged'), /not one of ours, too old or changed: invalid, any server/)
  await t.stop()
})

test('every example of sticky.md is loaded', () => {
  const dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-e2e-'))
  for (const name of ['new', 'old']) writeFileSync(path.join(dir, `${name}.key`), `the ${name} secret of the operator\n`)
  const examples = [...readFileSync(new URL('../../docs/sticky.md', import.meta.url), 'utf8').matchAll(/```yaml\n([^]*?)```/g)].map(m => m[1])
  assert.ok(examples.length >= 2)
  for (const example of examples) {
    writeFileSync(path.join(dir, 't.yaml'), example)
    const done = spawnSync(binary, ['check', path.join(dir, 't.yaml')], { encoding: 'utf8', env: { ...process.env, STICKY_KEY: 'from the environment of it' } })
    assert.equal(done.status, 0, done.stderr)
  }
  rmSync(dir, { recursive: true })
})
