// Servers changed while tunnels run: by the API and by the commands, over reloads, with bodies that will not do.
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import http from 'node:http'
import path from 'node:path'
import { after, before, test } from 'node:test'
import { frame, tunnel } from './lib/raw.mjs'
import { Echo, Turnout, until } from './lib/turnout.mjs'

let a, b, c
before(async () => { [a, b, c] = await Promise.all(['a', 'b', 'c'].map(name => Echo.start(name))) })
after(async () => { for (const echo of [a, b, c]) await echo.stop() })

const configured = (servers, more = '') => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { balance: round_robin, servers: [ ${servers.join(', ')} ]${more} }, other: { servers: [ 127.0.0.1:9 ] } }
routes: [ { pool: main } ]
`
// One request to the admin socket: { status, fields, json }.
function ask (t, method, path, body, agent) {
  return new Promise((resolve, reject) => {
    const text = body === undefined ? '' : typeof body === 'string' || Buffer.isBuffer(body) ? body : JSON.stringify(body)
    const request = http.request({ socketPath: t.admin.slice(5), path, method, agent, headers: { 'Content-Length': Buffer.byteLength(text) } }, res => {
      let got = ''
      res.on('data', data => { got += data }).on('end', () => resolve({ status: res.statusCode, fields: res.headers, json: got ? JSON.parse(got) : null }))
    })
    request.on('error', reject).end(text)
  })
}
const servers = '/api/v1/pools/main/servers'
const seen = async t => Object.fromEntries((await ask(t, 'GET', servers)).json.servers.map(s => [s.address, s]))

// Handshakes one after another: how many each server got of them.
async function handshakes (t, count) {
  const before = await seen(t)
  const wires = []
  for (let i = 0; i < count; i++) wires.push(await tunnel(t.port))
  const after = await seen(t)
  for (const wire of wires) wire.close()
  return Object.fromEntries(Object.keys(after).map(k => [k, after[k].tunnels_ever - (before[k]?.tunnels_ever ?? 0)]))
}
// An echo that has to come back, on a tunnel that was there before.
async function alive (wire, text) {
  const had = wire.got.length
  wire.send(frame(text))
  await wire.length(had + text.length + 2)
  assert.ok(wire.got.subarray(had).includes(text))
}

test('a new weight decides about the very next handshakes', async () => {
  const t = await Turnout.start(configured([a.address, b.address]))
  assert.deepEqual(await handshakes(t, 20), { [a.address]: 10, [b.address]: 10 })
  assert.equal(t.command('weight', `main/${a.address}`, '4').code, 0)
  assert.deepEqual(await handshakes(t, 20), { [a.address]: 16, [b.address]: 4 })
  const { status, json } = await ask(t, 'PATCH', `${servers}/${b.address}`, { weight: 4 })
  assert.equal(status, 200)
  assert.equal(json.weight, 4)
  assert.deepEqual(json.changed, ['weight'])
  assert.deepEqual(await handshakes(t, 20), { [a.address]: 10, [b.address]: 10 })
  await t.stop()
})
test('servers come and go under load, and no other tunnel notices', async () => {
  const t = await Turnout.start(configured([a.address, b.address]))
  const wires = []
  for (let i = 0; i < 40; i++) wires.push(await tunnel(t.port))
  let goesOn = true, rounds = 0
  const load = (async () => { while (goesOn) { await Promise.all(wires.map(wire => alive(wire, `round ${rounds}`))); rounds++ } })()
  const newcomers = (async () => { while (goesOn) (await tunnel(t.port)).close() })()
  await until(() => rounds > 2, 'load')
  for (let i = 0; i < 10; i++) {
    assert.equal((await ask(t, 'POST', servers, { address: c.address })).status, 201)
    await until(async () => (await seen(t))[c.address].tunnels_ever > i, 'the new server gets its share')
    const { status, json } = await ask(t, 'DELETE', `${servers}/${c.address}`)
    assert.equal(status, 200)
    assert.equal(json.removed, `main/${c.address}`)
    assert.equal((await seen(t))[c.address], undefined)
  }
  const before = rounds
  await until(() => rounds > before + 2, 'the load goes on')
  goesOn = false
  await Promise.all([load, newcomers])
  assert.ok(wires.every(wire => wire.ended === null))
  for (const wire of wires) wire.close()
  await t.stop()
})
test('tunnels of a removed server stay, or are closed, as on_removed says', async () => {
  for (const [more, closes] of [['', false], [', on_removed: close', true]]) {
    const t = await Turnout.start(configured([a.address, b.address], more))
    const wires = [await tunnel(t.port), await tunnel(t.port)]
    const ofA = t.json('connections').connections.find(x => x.server === `main/${a.address}`)
    const gone = wires.find(wire => ofA.client.endsWith(`:${wire.localPort}`))
    const stays = wires.find(wire => wire !== gone)
    const done = t.command('remove', `main/${a.address}`)
    assert.equal(done.code, 0)
    assert.match(done.out, closes ? /is gone; its 1 tunnel is closed/ : /is gone; its 1 tunnel stays/)
    if (closes) {
      await gone.closed()
      assert.equal(gone.got.readUInt16BE(gone.got.length - 2), 1012)
    } else await alive(gone, 'still here')
    await alive(stays, 'untouched')
    assert.deepEqual(await handshakes(t, 4), { [b.address]: 4 })
    for (const wire of wires) wire.close()
    await t.stop()
  }
})
test('a server that is put to drain or down gets no new work, and comes back', async () => {
  const t = await Turnout.start(configured([a.address, b.address]))
  for (const state of ['drain', 'down']) {
    assert.equal((await ask(t, 'PATCH', `${servers}/${a.address}`, { state })).json.state, state)
    assert.deepEqual(await handshakes(t, 6), { [a.address]: 0, [b.address]: 6 })
    assert.deepEqual(t.status().changes.map(x => [x.server, x.change, x.state]), [[`main/${a.address}`, 'state', state]])
    assert.equal((await ask(t, 'PATCH', `${servers}/${a.address}`, { state: 'up' })).json.state, 'up')
    assert.deepEqual(await handshakes(t, 6), { [a.address]: 3, [b.address]: 3 })
    assert.deepEqual(t.status().changes, [])
  }
  await t.stop()
})
test('a server that is put to drain has its tunnels closed evenly; put up again, the rest stay', async () => {
  const t = await Turnout.start(configured([a.address, b.address], ', drain: { over: 60s, code: 1001 }'))
  const wires = []
  for (let i = 0; i < 60; i++) wires.push(await tunnel(t.port))
  await ask(t, 'PATCH', `${servers}/${a.address}`, { state: 'drain' })
  const [drain] = t.status().drains
  assert.deepEqual([drain.what, drain.name, drain.code, drain.over_usec], ['server', `main/${a.address}`, 1001, 60e6])
  await until(() => wires.some(wire => wire.ended), 'the first is closed')
  assert.equal((await ask(t, 'PATCH', `${servers}/${a.address}`, { state: 'up' })).json.state, 'up')
  assert.deepEqual(t.status().drains, [])
  assert.equal((await ask(t, 'GET', `/api/v1/drains/${drain.id}`)).json.state, 'undone')
  await Promise.all(wires.filter(wire => !wire.ended).map(wire => alive(wire, 'left alone').catch(error => { if (!wire.ended) throw error })))
  const closed = wires.filter(wire => wire.ended)
  assert.ok(closed.length > 0 && closed.length < 10, `${closed.length} were closed`)
  for (const wire of closed) assert.equal(wire.got.readUInt16BE(wire.got.length - 2), 1001)
  for (const wire of wires) wire.close()
  await t.stop()
})
test('a server that is put down loses its tunnels, or keeps them, as on_down says', async () => {
  for (const onDown of ['keep', 'close', 'drain']) {
    const t = await Turnout.start(configured([a.address, b.address], `, on_down: ${onDown}, drain: { over: 300ms }`))
    const wires = [await tunnel(t.port), await tunnel(t.port)]
    const ofA = t.json('connections').connections.find(x => x.server === `main/${a.address}`)
    const lost = wires.find(wire => ofA.client.endsWith(`:${wire.localPort}`))
    const stays = wires.find(wire => wire !== lost)
    assert.equal((await ask(t, 'PATCH', `${servers}/${a.address}`, { state: 'down' })).json.state, 'down')
    if (onDown === 'keep') await alive(lost, 'kept')
    else {
      await lost.closed()
      assert.equal(lost.got.readUInt16BE(lost.got.length - 2), 1012)
    }
    await alive(stays, 'untouched')
    for (const wire of wires) wire.close()
    await t.stop()
  }
})
test('what was changed by hand survives a reload, until the file says something new of that server', async () => {
  const t = await Turnout.start(configured([a.address, b.address]))
  const weights = async () => Object.fromEntries(Object.entries(await seen(t)).map(([k, s]) => [k, s.weight]))
  await ask(t, 'PATCH', `${servers}/${a.address}`, { weight: 7, state: 'drain' })
  await ask(t, 'POST', servers, { address: c.address, weight: 3 })
  await ask(t, 'DELETE', `${servers}/${b.address}`)
  const changed = () => t.status().changes.map(x => `${x.change} ${x.address}`).sort()
  const all = [`added ${c.address}`, `removed ${b.address}`, `state ${a.address}`, `weight ${a.address}`].sort()
  assert.deepEqual(changed(), all)
  assert.match(t.command('status').out, new RegExp(`changed by hand.*\\n(.*\\n)*  main/${c.address} added, with weight 3\\n`))
  assert.equal(t.command('reload').code, 0)
  assert.deepEqual(await weights(), { [a.address]: 7, [c.address]: 3 })
  assert.deepEqual(changed(), all)
  assert.equal((await seen(t))[a.address].state, 'drain')
  t.write(configured([`{ address: ${a.address}, weight: 2 }`, b.address, c.address])(t)) // new of a and of c; b as before
  assert.equal(t.command('reload').code, 0)
  assert.deepEqual(await weights(), { [a.address]: 2, [c.address]: 1 })
  assert.ok(!changed().some(x => x.startsWith('weight') || x.startsWith('added')))
  t.write(configured([`{ address: ${a.address}, weight: 2 }`, `{ address: ${b.address}, weight: 5 }`, c.address])(t))
  assert.equal(t.command('reload').code, 0)
  assert.deepEqual(await weights(), { [a.address]: 2, [b.address]: 5, [c.address]: 1 })
  await t.stop()
})
test('a pool that is emptied by hand refuses by name, and serves again with the next one', async () => {
  const t = await Turnout.start(configured([a.address]))
  const wire = await tunnel(t.port)
  assert.equal(t.command('remove', `main/${a.address}`).code, 0)
  await assert.rejects(tunnel(t.port), /503/)
  await t.event(e => e.event === 'refused' && e.reason === 'NO_SERVER', 'the refusal has its reason')
  assert.deepEqual((await ask(t, 'GET', servers)).json.servers, [])
  assert.match((await ask(t, 'DELETE', `${servers}/${a.address}`)).json.what_to_do, /has no server/)
  assert.equal(t.command('add', `main/${b.address}`).code, 0)
  assert.deepEqual(await handshakes(t, 2), { [b.address]: 2 })
  await alive(wire, 'of the first one')
  wire.close()
  await t.stop()
})
test('servers that a file names are weighed by hand, too, until the file says something new of them', async () => {
  let list
  const t = await Turnout.start(t => {
    list = path.join(t.dir, 'servers.txt')
    writeFileSync(list, `${a.address}\n${b.address} weight=2\n`)
    return `listeners: [ { listen: 127.0.0.1:${t.port} } ]\npools: { main: { servers: { file: servers.txt } } }\n`
  })
  const weights = async () => Object.fromEntries(Object.entries(await seen(t)).map(([k, s]) => [k, s.weight]))
  await until(async () => Object.keys(await seen(t)).length === 2, 'the file is read')
  assert.equal(t.command('weight', `main/${a.address}`, '7').code, 0)
  for (const got of [await ask(t, 'POST', servers, { address: c.address }), await ask(t, 'DELETE', `${servers}/${a.address}`)]) {
    assert.equal(got.status, 409)
    assert.match(got.json.error, /what the file .*servers\.txt says/)
  }
  writeFileSync(list, `${a.address}\n${b.address} weight=2\n${c.address}\n`)
  await until(async () => (await seen(t))[c.address], 'the third one is found')
  assert.deepEqual(await weights(), { [a.address]: 7, [b.address]: 2, [c.address]: 1 })
  assert.equal(t.command('reload').code, 0)
  assert.equal((await weights())[a.address], 7)
  writeFileSync(list, `${a.address} weight=3\n${b.address} weight=2\n`)
  await until(async () => (await weights())[a.address] === 3, 'the file has the last word')
  assert.deepEqual(t.status().changes, [])
  await t.stop()
})
test('an address of IPv6, in a path, escaped, or in the query', async () => {
  const t = await Turnout.start(configured([a.address]))
  assert.equal((await ask(t, 'POST', servers, { address: '[::1]:9001', max_connections: 5, backup: true })).status, 201)
  for (const path of [`${servers}/[::1]:9001`, `${servers}/%5B::1%5D:9001`, `${servers}/%5b%3a%3A1%5D%3a9001`]) {
    const { status, json } = await ask(t, 'GET', path)
    assert.equal(status, 200, path)
    assert.deepEqual([json.address, json.max_connections, json.backup, json.weight], ['[::1]:9001', 5, true, 1])
  }
  assert.equal((await ask(t, 'PATCH', `${servers}?address=%5B::1%5D:9001`, { weight: 2 })).json.weight, 2)
  assert.equal(t.command('weight', 'main/[::1]:9001', '3').code, 0)
  assert.equal((await ask(t, 'DELETE', `${servers}?address=[::1]:9001`)).status, 200)
  assert.equal((await ask(t, 'DELETE', servers)).status, 400)
  await t.stop()
})
test('what will not do is said, with what to do, and changes nothing', async () => {
  const t = await Turnout.start(t => configured([a.address])(t).replace('other: { servers: [ 127.0.0.1:9 ] }', 'other: { servers: { dns: "localhost:9" } }'))
  const here = `${servers}/${a.address}`
  const good = { address: '127.0.0.1:1' }
  for (const [method, path, body, status, error, field] of [
    ['POST', servers, '', 400, /a body is missing/],
    ['POST', servers, '{', 400, /line 1/],
    ['POST', servers, '[]', 400, /no JSON object/],
    ['POST', servers, '{"address":"127.0.0.1:1","address":"127.0.0.1:2"}', 400, /line 1/],
    ['POST', servers, Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x7d]), 400, /line 1/],
    ['POST', servers, '['.repeat(50000), 400, /line 1/],
    ['POST', servers, {}, 422, /address is missing/, 'address'],
    ['POST', servers, { address: 'localhost:1' }, 422, /no server address/, 'address'],
    ['POST', servers, { address: '127.0.0.1' }, 422, /no server address/, 'address'],
    ['POST', servers, { address: 9001 }, 422, /no text/, 'address'],
    ['POST', servers, { ...good, weight: 0 }, 422, /weight/, 'weight'],
    ['POST', servers, { ...good, weight: 257 }, 422, /weight/, 'weight'],
    ['POST', servers, { ...good, weight: 1.5 }, 422, /weight/, 'weight'],
    ['POST', servers, { ...good, weight: '1' }, 422, /weight/, 'weight'],
    ['POST', servers, { ...good, weight: null }, 422, /weight/, 'weight'],
    ['POST', servers, { ...good, max_connections: 4294967296 }, 422, /max_connections/, 'max_connections'],
    ['POST', servers, { ...good, backup: 1 }, 422, /backup/, 'backup'],
    ['POST', servers, { ...good, wieght: 1 }, 422, /no field "wieght"/, 'wieght'],
    ['POST', servers, { address: a.address }, 409, /already/],
    ['POST', '/api/v1/pools/mian/servers', good, 404, /no pool "mian"/],
    ['POST', '/api/v1/pools/%ff/servers', good, 404, /nothing here/],
    ['POST', '/api/v1/pools/other/servers', good, 409, /what dns localhost:9 says/],
    ['DELETE', `${servers}/127.0.0.1:1`, '', 404, /no server/],
    ['DELETE', `${servers}/nonsense`, '', 404, /no server/],
    ['PATCH', here, {}, 422, /nothing to change/, 'state'],
    ['PATCH', here, { state: 'off' }, 422, /"off"/, 'state'],
    ['PATCH', here, { state: 'down', weight: -1 }, 422, /weight/, 'weight'],
    ['PATCH', here, { address: '127.0.0.1:2' }, 422, /no field "address"/, 'address'],
    ['PATCH', `${servers}/127.0.0.1:1`, { weight: 2 }, 404, /no server/],
    ['PUT', here, { weight: 2 }, 405, /not for this path/],
    ['PATCH', '/api/v1/pools/main', { weight: 2 }, 405, /not for this path/]
  ]) {
    const got = await ask(t, method, path, body)
    const what = `${method} ${path} ${String(JSON.stringify(body)).slice(0, 60)}: ${got.status} ${JSON.stringify(got.json)}`
    assert.equal(got.status, status, what)
    assert.match(got.json.error, error, what)
    assert.ok(got.json.what_to_do.length > 3, what)
    assert.equal(got.json.field, field, what)
  }
  assert.equal((await ask(t, 'PUT', here, {})).fields.allow, 'GET, DELETE, PATCH')
  assert.match((await ask(t, 'GET', '/api/v1/pools/mian')).json.what_to_do, /main, other/)
  assert.match((await ask(t, 'DELETE', `${servers}/127.0.0.1:1`)).json.what_to_do, new RegExp(a.address))
  assert.match((await ask(t, 'POST', servers, { ...good, wieght: 1 })).json.what_to_do, /weight/)
  const { servers: list } = (await ask(t, 'GET', servers)).json
  assert.equal(list.length, 1)
  assert.deepEqual([list[0].weight, list[0].state, list[0].changed], [1, 'up', []])
  assert.deepEqual(t.status().changes, [])
  await t.stop()
})
test('the commands: tables, exit codes, --json', async () => {
  const t = await Turnout.start(configured([a.address]))
  assert.match(t.command('add', `main/${b.address}`, '--weight', '3', '--max-connections', '9').out, /is there, with weight 3/)
  assert.match(t.command('servers').out, new RegExp(`main/${b.address} +up +3 .*by hand: added\\n`))
  assert.ok(!t.command('servers', 'other').out.includes('main/'))
  assert.equal(t.json('weight', `main/${b.address}`, '4').weight, 4)
  const twice = t.command('add', `main/${b.address}`)
  assert.deepEqual([twice.code, twice.out], [1, ''])
  assert.match(twice.err, /has the server .* already; PATCH it|already/)
  assert.match(t.command('remove', 'mian/127.0.0.1:1').err, /no pool "mian"; there is: main, other/)
  for (const words of [['weight'], ['weight', `main/${b.address}`], ['weight', `main/${b.address}`, '0'], ['weight', b.address, '1'], ['add'], ['add', 'main/x'], ['remove'], ['remove', 'main/1.2.3.4:5', 'x']])
    assert.equal(t.command(...words).code, 2, words.join(' '))
  assert.equal(t.command('remove', `main/${b.address}`).code, 0)
  assert.equal(t.json('servers').servers.length, 2)
  const pools = (await ask(t, 'GET', '/api/v1/pools')).json.pools
  assert.deepEqual(pools.map(p => [p.pool, p.balance, p.servers, p.usable]), [['main', 'round_robin', 1, 1], ['other', 'least_connections', 1, 1]])
  await t.stop()
  assert.equal(t.command('weight', `main/${a.address}`, '2').code, 3)
})
test('10,000 servers are added one by one, and not one more; a tunnel lives through it', async () => {
  const t = await Turnout.start(configured([a.address]))
  const wire = await tunnel(t.port)
  const agent = new http.Agent({ keepAlive: true, maxSockets: 4 })
  const address = i => `10.${i >> 16 & 255}.${i >> 8 & 255}.${i & 255}:9001`
  for (let i = 1; i < 10000; i += 50)
    await Promise.all(Array.from({ length: Math.min(50, 10000 - i) }, async (_, k) => assert.equal((await ask(t, 'POST', servers, { address: address(i + k) }, agent)).status, 201)))
  const more = await ask(t, 'POST', servers, { address: '10.9.9.9:9' }, agent)
  assert.equal(more.status, 422)
  assert.match(more.json.error, /10000 servers/)
  assert.equal((await ask(t, 'GET', '/api/v1/pools/main', undefined, agent)).json.servers, 10000)
  assert.equal(t.command('reload').code, 0)
  assert.equal((await ask(t, 'GET', servers, undefined, agent)).json.servers.length, 10000)
  assert.match(t.command('status').out, /and 9979 more/)
  await alive(wire, 'through it all')
  wire.close()
  agent.destroy()
  await t.stop()
})
test('who asks and changes while turnout stops does not trip it', async () => {
  for (let i = 0; i < 5; i++) {
    const t = await Turnout.start(configured([a.address]))
    const agent = new http.Agent({ keepAlive: true })
    let goesOn = true
    const asking = Array.from({ length: 12 }, async (_, k) => {
      const work = [['GET', '/api/v1/status'], ['POST', servers, { address: `10.0.0.${k + 1}:1`, backup: true }], ['DELETE', `${servers}/10.0.0.${k + 1}:1`], ['GET', '/api/v1/connections']]
      for (let n = 0; goesOn; n++) await ask(t, ...work[n % work.length], n % work.length === 1 ? undefined : agent).catch(() => { goesOn = t.child.exitCode === null && t.child.signalCode === null })
    })
    const wires = [await tunnel(t.port), await tunnel(t.port)]
    await t.stop()
    goesOn = false
    await Promise.all(asking)
    for (const wire of wires) wire.close()
    agent.destroy()
  }
})
