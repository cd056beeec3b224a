import sys
p='/work/wt/user/test/thorough/shell-storage.test.ts'
s=open(p).read()
i=s.index("t.test('what an unfinished run had"); j=s.index("t.test('a large file that can not fit"); h=s.index("t.test(")
open('/work/wt/user/test/thorough/tmp-one.test.ts','w').write(s[:h]+s[i:j])
